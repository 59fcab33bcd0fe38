import types
from typing import Any
from typing import Literal

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.layers.conditional_entropy import ConditionalEntropy
from keras_xkd.layers.conditional_entropy import resolve_discriminator
from keras_xkd.typing import Labels, Losses, Modalities, StepResult, Weights
from keras_xkd.utils.contrasts import contrast_pairs
from keras_xkd.utils.contrasts import mutual_contrasts
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.outputs import features_width
from keras_xkd.utils.projections import make_heads
from keras_xkd.utils.symbolic import check_roles
from keras_xkd.utils.task_loss import reads_logits

TASK = {role: f"{role}_task" for role in ("teacher", "auxiliary")}
TASK["student"] = "task"
NCE = {role: f"{role}_nce" for role in ("student", "auxiliary")}


@keras_xkd_export("keras_xkd.distillers.AMID")
class AMID(Distiller):
    r"""Trains a student with modalities that exist only at training.

    Student, teacher and auxiliary network train together. So that the teacher
    does not become as weak as the student, it shares what the auxiliary
    network knows: maximise `I(T; S) + I(T; A) - H(T | S)`.

    | term | weight | symbol | meaning |
    |---|---|---|---|
    | `task`, `teacher_task`, `auxiliary_task` | 1 | | `loss` of each network |
    | `student_nce` | 0.8 | `-I(T; S)` | contrast of teacher and student |
    | `auxiliary_nce` | 0.8 | `-I(T; A)` | contrast of teacher and auxiliary |
    | `entropy` | 0.1 | `H(T \| S)` | whether `G(s)` passes for `t` |
    | `discriminator` | 1 | | what the second player minimises |

    The paper states the objective, to be learned by contrast and, the entropy,
    by an adversary; the rest is this package's choice. `distillation_loss` is
    the contrast, `InfoNCE()` by default, behind projection heads; its bounds,
    at most `log(batch)` nats, are logged as `<role>_information`. For small
    batches there is `ContrastiveRepresentation(queue=...)`. With `t` of length
    one, the discriminator takes `[t, t]` for real and `[t, G(s)]` for made up;
    the Gaussian bound is `|t - G(s)|^2`.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import AMID
    >>> def classifier(*names):
    ...     inputs = [keras.Input((4,), name=name) for name in names]
    ...     x = keras.ops.concatenate(inputs, axis=-1)
    ...     x = keras.layers.Dense(8, activation="relu")(x)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> student, auxiliary = classifier("audio"), classifier("image")
    >>> teacher = classifier("audio", "image")
    >>> amid = AMID(student=student, teacher=teacher, auxiliary=auxiliary)
    >>> amid.compile("adam", "sparse_categorical_crossentropy")
    >>> x = {"audio": np.zeros((8, 4)), "image": np.zeros((8, 4))}
    >>> history = amid.fit(x, np.zeros(8, "int32"), verbose=0)

    Args:
        student: The network to deploy. `x` has what all read, `y` labels.
        teacher: A network that reads all modalities.
        auxiliary: A network that reads the auxiliary modalities.
        projection_dim: Width of the heads; losses with a memory have theirs.
        entropy: `"adversarial"`, `"gaussian"`, or None to leave it out.
        discriminator: A layer from `(batch, 2 * features)` to logits, shape
            `(batch, 1)`; by default `layers.Discriminator()`.
        entropy_moves_teacher: Whether that term has a gradient into the
            teacher, which the paper leaves open.

    Raises:
        ValueError: If features cannot be found, or batches have one sample.

    Reference: [Chen et al., 2023](https://arxiv.org/abs/2306.07646).
    """

    frozen = ()

    def __init__(
        self,
        *,
        student: keras.layers.Layer,
        teacher: keras.layers.Layer,
        auxiliary: keras.layers.Layer,
        projection_dim: int = 128,
        entropy: Literal["adversarial", "gaussian"] | None = "adversarial",
        discriminator: keras.layers.Layer | None = None,
        entropy_moves_teacher: bool = False,
        **kwargs: Any,
    ) -> None:
        roles = dict(student=student, teacher=teacher, auxiliary=auxiliary)
        check_roles(roles, whole="teacher")
        s, t, a = map(features_width, roles.values())
        judge = resolve_discriminator(entropy, discriminator, t)
        super().__init__(**roles, discriminator=judge, **kwargs)
        # The judge reads no modality and has no predictions for metrics.
        self.named = {role: self.named[role] for role in roles}
        self.projection_dim = projection_dim
        self.entropy = ConditionalEntropy(entropy, s, t, entropy_moves_teacher)
        widths = {"student": s, "auxiliary": a}
        widths |= {"teacher_of_student": t, "teacher_of_auxiliary": t}
        self.projections = make_heads(widths, projection_dim)

    @property
    def players(self) -> dict[str, tuple | None]:  # type: ignore[override]
        if self.discriminator is None:
            return {"student": None}
        return {"student": None, "discriminator": ("discriminator",)}

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        self.check_contrast(x, training)
        outputs, here, logs = {}, {}, {}
        terms: dict[str, Any] = {}
        for role, term in TASK.items():
            out = outputs[role] = self.run(role, x, training)
            here[role] = presence(x, self.named[role])
            terms |= self.task_terms(y, out, sample_weight, term, here[role])
        teacher = outputs["teacher"]
        for role, term in NCE.items():
            mask = both(here["teacher"], here[role])
            terms[term], bound = self.plan.pairs[term].with_information(
                teacher, outputs[role], y, mask, sample_weight, x, training
            )
            if bound is not None:
                logs[f"{role}_information"] = bound
        mask = both(here["teacher"], here["student"])
        t, s = teacher["features"], outputs["student"]["features"]
        terms |= self.entropy.terms(t, s, self.discriminator, mask, training)
        return outputs, terms, logs

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        losses = mutual_contrasts(distillation_loss, NCE.values())
        for role in TASK:
            self.readout.require(self.named[role], "features")
            if reads_logits(task_loss):
                self.readout.check_logits(self.named[role])
        pairs = contrast_pairs(self, NCE, losses)
        weights = dict.fromkeys(TASK.values(), 1.0)
        weights |= dict.fromkeys(NCE.values(), 0.8) | self.entropy.term_weights
        return types.SimpleNamespace(weights=weights, pairs=pairs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "projection_dim": self.projection_dim,
            "entropy": self.entropy.kind,
            "entropy_moves_teacher": self.entropy.moves_teacher,
        }
