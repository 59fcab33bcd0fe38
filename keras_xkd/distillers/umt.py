import functools
import types
from collections.abc import Mapping
from typing import Any

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.losses.feature_matching import FeatureMatching
from keras_xkd.models.late_fusion import LateFusion
from keras_xkd.typing import Labels, Losses, Modalities, StepResult, Weights
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import has_modalities
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.pair import pair_of
from keras_xkd.utils.pair import resolve_comparisons
from keras_xkd.utils.symbolic import check_networks
from keras_xkd.utils.unimodal import check_features_loss
from keras_xkd.utils.unimodal import check_teacher
from keras_xkd.utils.unimodal import copy_features


@keras_xkd_export("keras_xkd.distillers.UMT")
class UMT(Distiller):
    """Uni-modal teachers for the encoders of a late-fusion network.

    Trained together, the encoders of several modalities learn less than each
    would by itself: what one modality explains, the others need not. Here
    each encoder also imitates a teacher that was trained on its modality
    alone: the features before the teacher's head.

    | term | weight | meaning |
    |---|---|---|
    | `task` | 1 | `loss` of the student against the labels |
    | `<modality>_distillation` | 10 | `mean (phi(x) - phi_T(x))^2` |

    The paper states that features are learnt from uni-modal teachers. Weight
    10 with the mean over batch and features is that of a published
    re-implementation; the rest is this package's choice. With a dict of
    losses they share the weight.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import UMT
    >>> from keras_xkd.models import LateFusion
    >>> def network(modality, *head):
    ...     inputs = keras.Input((4,), name=modality)
    ...     outputs = keras.layers.Dense(8, activation="relu")(inputs)
    ...     for layer in head:
    ...         outputs = layer(outputs)
    ...     return keras.Model(inputs, outputs)
    >>> names = "audio", "video"
    >>> umt = UMT(
    ...     student=LateFusion({name: network(name) for name in names}, 3),
    ...     teachers={  # Trained before, each by itself.
    ...         name: network(name, keras.layers.Dense(3)) for name in names
    ...     },
    ... )
    >>> umt.compile("adam", "sparse_categorical_crossentropy")
    >>> x = {"audio": np.zeros((8, 4)), "video": np.zeros((8, 4))}
    >>> history = umt.fit(x, np.zeros(8, "int32"), verbose=0)
    >>> sorted(history.history)[:2]
    ['audio_distillation_loss', 'loss']

    Args:
        student: A `keras_xkd.models.LateFusion`.
        teachers: A dict `{encoder: network}` of classifiers with the names of
            the student's encoders; encoders without a teacher learn from the
            labels alone. Frozen, and always in inference mode.
        warm_start: Whether the encoders start from their teachers' weights;
            both must then have the same structure. Off by default, which is
            our choice.
        **kwargs: `name` and `dtype`.

    `x` holds all modalities, `y` the labels; without labels only the
    distillation terms remain. Where `x["present"]` marks a modality as absent,
    its encoder has nothing to imitate, and its features count as zeros.
    `distillation_loss` in `compile` is one loss between features, or a dict
    `{term: loss}`, for every modality.

    Raises:
        ValueError: If the student is no `LateFusion`, if a teacher has no
            encoder, other modalities than it, no features or features of
            another width, or if a warm start is not possible.

    Reference: [Du et al., 2023](https://arxiv.org/abs/2305.01233)
    """

    frozen = ("teachers",)

    def __init__(
        self,
        *,
        student: LateFusion,
        teachers: Mapping[str, keras.layers.Layer],
        warm_start: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(student, LateFusion):
            raise ValueError(
                "The student of UMT must be a `keras_xkd.models.LateFusion`. "
                f"Received: {student} of type {type(student).__name__}"
            )
        check_networks("teachers", teachers)
        teachers = {name: teachers[name] for name in sorted(teachers)}
        super().__init__(student=student, teachers=teachers, **kwargs)
        self.warm_start = warm_start
        self.shapes = {}
        for name, teacher in teachers.items():
            self.shapes[name] = check_teacher(self, name, teacher)
            if warm_start:
                copy_features(self.readout, teacher, student.encoders[name])

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        student = self.student
        features = student.encode(x, training=training)
        present = student.present(x)
        logits = student.decide(features, present, training=training)
        outputs = {"student": {"logits": logits}}
        here = presence(x, student)
        terms = self.task_terms(y, outputs["student"], sample_weight, mask=here)
        for name, teacher in self.teachers.items():
            if not training and not has_modalities(x, teacher):
                continue
            outputs[name] = self.ask(name, x)
            mask = both(present.get(name), presence(x, teacher))
            own = {"features": features[name]}
            for term, pair in self.plan.pairs[name].items():
                value = pair(
                    outputs[name], own, y, mask, sample_weight, x, training
                )
                if value is not None:
                    terms[term] = value
        return outputs, terms, {}

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        if distillation_loss is None:
            distillation_loss = FeatureMatching()
        comparisons = resolve_comparisons(distillation_loss)
        pairs: dict[str, dict[str, Any]] = {}
        for name, teacher in self.teachers.items():
            pairs[name] = {}
            for term, loss in comparisons.items():
                term = f"{name}_{term}"
                keep = functools.partial(self.keep_companion, term)
                check_features_loss(loss)
                pair = pair_of(loss, self.shapes[name], teacher.name, {}, keep)
                pairs[name][term] = pair
        terms = [term for own in pairs.values() for term in own]
        weights = {"task": 1.0} | dict.fromkeys(terms, 10.0 / len(comparisons))
        return types.SimpleNamespace(weights=weights, pairs=pairs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "warm_start": self.warm_start}
