import functools
import types
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.losses.soft_targets import SoftTargets
from keras_xkd.typing import (
    Labels,
    Losses,
    Modalities,
    Networks,
    StepResult,
    Weights,
)
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import has_modalities
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.pair import connect
from keras_xkd.utils.pair import resolve_comparisons
from keras_xkd.utils.projections import make_projections
from keras_xkd.utils.task_loss import reads_logits


@keras_xkd_export("keras_xkd.distillers.CrossModalDistiller")
class CrossModalDistiller(Distiller):
    """Distils one or several frozen teachers into a student.

    Teacher and student may read different modalities, dtypes and numbers of
    features. The objective between them is a loss, so that each known method
    is one argument of `compile`:

    | method | `distillation_loss` |
    |---|---|
    | KD (Hinton et al., 2015) | `SoftTargets()`, the default |
    | FitNets (Romero et al., 2015) | `FeatureMatching()` |
    | supervision transfer (Gupta et al., 2016) | the same, without labels |
    | CRD (Tian et al., 2020) | `ContrastiveRepresentation(queue=...)` |
    | RKD (Park et al., 2019) | `RelationalDistance()`, `RelationalAngle()` |
    | PKT (Passalis and Tefas, 2018) | `ProbabilisticTransfer()` |
    | DKD (Zhao et al., 2022) | `DecoupledSoftTargets()` |

    | term | weight | meaning |
    |---|---|---|
    | `task` | 0.1 | `loss` of the student against labels, where there are any |
    | `distillation`, or the keys of a dict | share 0.9 | `distillation_loss` |

    With several teachers there is one term for each, `<teacher>_<term>`.
    0.1 and 0.9 are the common setting of KD, not of every paper.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import CrossModalDistiller
    >>> def classifier(modality, width):
    ...     inputs = keras.Input((width,), name=modality)
    ...     hidden = keras.layers.Dense(8, activation="relu")(inputs)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(hidden))
    >>> distiller = CrossModalDistiller(
    ...     student=classifier("audio", 4), teacher=classifier("image", 6)
    ... )
    >>> distiller.compile("adam")
    >>> x = {"audio": np.zeros((8, 4)), "image": np.zeros((8, 6))}
    >>> history = distiller.fit(x, verbose=0)  # without labels
    >>> sorted(history.history)
    ['distillation_loss', 'loss']
    >>> distiller.predict({"audio": np.zeros((2, 4))}, verbose=0).shape
    (2, 3)

    Args:
        student: The network to train. `distiller.student` is the same object.
        teacher: A frozen network, or a list or dict of them. Only its outputs
            are used; it runs in inference mode.
        projections: `"auto"` gives the student a learned linear layer where
            a compared output has another width than the teacher's. A dict
            `{output: layer}`, or `{teacher: {output: layer}}` with several
            teachers, uses these; None uses none.
        **kwargs: `name` and `dtype`.

    Raises:
        ValueError: In `compile`, if a loss compares an output that a network
            does not have, if logits differ in number, if features differ in
            width and there is no projection for them, or if a network ends in
            a softmax or sigmoid where its output is read as logits.
    """

    def __init__(
        self,
        *,
        student: keras.layers.Layer,
        teacher: keras.layers.Layer | Sequence[keras.layers.Layer] | Networks,
        projections: Literal["auto"] | Mapping[str, Any] | None = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(student=student, teacher=teacher, **kwargs)
        self.teachers = [name for name in self.named if name != "student"]
        self.given_projections = projections
        self.projections = make_projections(
            projections,
            self.readout,
            self.named["student"],
            {name: self.named[name] for name in self.teachers},
        )

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        outputs = {"student": self.run("student", x, training)}
        here = presence(x, self.named["student"])
        terms = self.task_terms(y, outputs["student"], sample_weight, mask=here)
        for name in self.teachers:
            if not training and not has_modalities(x, self.named[name]):
                continue  # A test set for the student alone.
            outputs[name] = self.ask(name, x)
            mask = both(here, presence(x, self.named[name]))
            for term, pair in self.plan.pairs[name].items():
                value = pair(
                    outputs[name], outputs["student"], y, mask, sample_weight,
                    x, training,
                )  # fmt: skip
                if value is not None:
                    terms[term] = value
        return outputs, terms, {}

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        if distillation_loss is None:
            distillation_loss = SoftTargets()
        comparisons = resolve_comparisons(distillation_loss)
        student = self.named["student"]
        if reads_logits(task_loss):
            self.readout.check_logits(student)
        pairs = {}
        for name in self.teachers:
            prefix = f"{name}_" if len(self.teachers) > 1 else ""
            pairs[name] = {
                f"{prefix}{term}": connect(
                    loss,
                    self.readout,
                    self.named[name],
                    student,
                    self.projections.get(name, {}),
                    functools.partial(self.keep_companion, f"{prefix}{term}"),
                )
                for term, loss in comparisons.items()
            }
        terms = [term for own in pairs.values() for term in own]
        weights = {"task": 0.1} | {term: 0.9 / len(terms) for term in terms}
        return types.SimpleNamespace(weights=weights, pairs=pairs)

    def get_config(self) -> dict[str, Any]:
        given = keras.saving.serialize_keras_object(self.given_projections)
        return {**super().get_config(), "projections": given}
