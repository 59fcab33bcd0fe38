from typing import Any

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.divergences import bernoulli
from keras_xkd.losses.divergences import categorical
from keras_xkd.losses.divergences import split_classes
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import Labels, Mask, Tensor


@keras_xkd_export("keras_xkd.losses.DecoupledSoftTargets")
class DecoupledSoftTargets(Comparison):
    """Soft targets, the true class and the other classes weighted apart.

    With `p = softmax(logits / T)`, `y` the true class and `q` the
    distribution among the other classes, `q_k = p_k / (1 - p_y)`:

    ```
    target = KL([p_y, 1 - p_y] of teacher || of student)
    others = KL(q of teacher || q of student)
    loss = T^2 * (alpha * target + beta * others)
    ```

    `SoftTargets` is this sum with `alpha = 1` and `beta = 1 - p_y` of the
    teacher, which silences the other classes where the teacher is sure.

    Args:
        alpha: Weight of the true class. The authors' code has 1.
        beta: Weight of the other classes. The authors' code has 8, and lets
            the whole term grow over the first 20 epochs.
        temperature: Softens both predictions; 4 in the authors' code.
        name, **kwargs: See `SoftTargets`.

    Call arguments:
        y_true, y_pred: Logits of teacher and student, `(batch, classes)`.
        labels: Class indices, `(batch,)` or `(batch, 1)`, or one-hot rows.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If there are no labels, if shapes do not fit, or if the
            temperature is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import DecoupledSoftTargets
    >>> teacher = np.array([[2.0, 1.0, 0.0]])
    >>> student = np.array([[1.0, 1.0, 1.0]])
    >>> loss = DecoupledSoftTargets()
    >>> round(float(loss(teacher, student, labels=np.array([0]))), 4)
    1.2484

    Reference: [Zhao et al., 2022](https://arxiv.org/abs/2203.08679)
    """

    output = "logits"
    couples = False
    needs = ("labels",)

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
        name: str = "decoupled_soft_targets",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        checks.check_temperature(temperature)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def call(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        labels: Labels = None,
        padding: Mask = None,
    ) -> Tensor:
        return decoupled_soft_targets(
            y_true, y_pred, labels, self.alpha, self.beta, self.temperature
        )

    def get_config(self) -> dict[str, Any]:
        own = {n: getattr(self, n) for n in ("alpha", "beta", "temperature")}
        return {**super().get_config(), **own}


@keras_xkd_export("keras_xkd.losses.decoupled_soft_targets")
def decoupled_soft_targets(
    y_true: Tensor,
    y_pred: Tensor,
    labels: Tensor,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
) -> Tensor:
    """Computes `DecoupledSoftTargets`; see there.

    >>> from keras_xkd.losses import decoupled_soft_targets
    >>> teacher, student = [[2.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]
    >>> round(float(decoupled_soft_targets(teacher, student, [0])[0]), 4)
    1.2484
    """
    if labels is None:
        raise ValueError("`DecoupledSoftTargets` needs labels. Received: None")
    y_true, y_pred = upcast(y_true, y_pred)
    checks.check_temperature(temperature)
    checks.check_rows(y_true, y_pred)
    checks.check_same_shape(y_true, y_pred)
    labels = checks.class_indices(labels, y_true, y_pred)
    t, t_others = split_classes(y_true / temperature, labels)
    s, s_others = split_classes(y_pred / temperature, labels)
    values = alpha * bernoulli(t, s) + beta * categorical(t_others, s_others)
    return temperature**2 * values
