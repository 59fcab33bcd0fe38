from typing import Any
from typing import Literal

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.losses import checks
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.divergences import bernoulli
from keras_xkd.losses.divergences import categorical
from keras_xkd.losses.numerics import average_positions
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import Mask, Tensor


@keras_xkd_export("keras_xkd.losses.SoftTargets")
class SoftTargets(Comparison):
    """Divergence of the student's softened predictions from the teacher's.

    ```
    loss = T^2 * KL(softmax(teacher / T) || softmax(student / T))
    ```

    The divergence is summed over classes; with `kind="sigmoid"` every logit
    is a yes-or-no label of its own and the divergences of the labels are
    summed. One binary logit `z` gives what softmax gives for `[0, z]`.

    Args:
        temperature: Softens both predictions. Four is a common setting in
            published code; the paper tries values between 1 and 20.
        kind: `"softmax"` for classes that exclude each other, `"sigmoid"`
            for binary or multi-label logits.
        name: Name of the loss.
        **kwargs: `output` (`"logits"` by default), `reduction` and `dtype`,
            see `Comparison`.

    Call arguments:
        y_true: The teacher's logits, shape `(batch, ..., classes)`.
        y_pred: The student's logits, of the same shape. Positions between
            the first and the last axis are averaged, padded ones left out.

    Returns:
        One value per sample, shape `(batch,)`, before the reduction.

    Raises:
        ValueError: If the shapes differ, the temperature is not positive,
            `kind` is unknown, or a softmax would have a single class.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.losses import SoftTargets
    >>> teacher = np.array([[0.0, np.log(3.0)]])
    >>> student = np.array([[0.0, 0.0]])
    >>> loss = SoftTargets(temperature=1.0)
    >>> round(float(loss(teacher, student)), 4)
    0.1308

    Reference: [Hinton et al., 2015](https://arxiv.org/abs/1503.02531)
    """

    output = "logits"
    couples = False

    def __init__(
        self,
        temperature: float = 4.0,
        kind: Literal["softmax", "sigmoid"] = "softmax",
        name: str = "soft_targets",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check(temperature, kind)
        self.temperature = temperature
        self.kind = kind

    def call(
        self, y_true: Tensor, y_pred: Tensor, padding: Mask = None
    ) -> Tensor:
        return soft_targets(
            y_true, y_pred, self.temperature, self.kind, padding
        )

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "kind": self.kind}
        return {**super().get_config(), **own}


@keras_xkd_export("keras_xkd.losses.soft_targets")
def soft_targets(
    y_true: Tensor,
    y_pred: Tensor,
    temperature: float = 4.0,
    kind: Literal["softmax", "sigmoid"] = "softmax",
    padding: Mask = None,
) -> Tensor:
    """Computes `SoftTargets`; see there.

    `padding`, shape `(batch, positions...)`, is 1 for the positions that
    count.

    >>> from keras_xkd.losses import soft_targets
    >>> round(float(soft_targets([[2.0, 0.0]], [[0.0, 2.0]], 1.0)[0]), 4)
    1.5232
    """
    _check(temperature, kind)
    y_true, y_pred = upcast(y_true, y_pred)
    checks.check_same_shape(y_true, y_pred)
    if kind == "softmax" and y_pred.shape[-1] == 1:
        raise ValueError(
            "The softmax of one logit is constant; binary logits need "
            f"`kind='sigmoid'`. {checks.shapes(y_true, y_pred)}"
        )
    divergence = categorical if kind == "softmax" else bernoulli
    values = divergence(y_true / temperature, y_pred / temperature)
    return temperature**2 * average_positions(values, padding)


def _check(temperature, kind):
    checks.check_temperature(temperature)
    checks.check_choice("kind", kind, ("softmax", "sigmoid"))
