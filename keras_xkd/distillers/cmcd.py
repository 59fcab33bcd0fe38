import types
from typing import Any

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import no_gradient
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.losses.cross_modal_contrast import CrossModalContrast
from keras_xkd.typing import (
    Labels,
    Losses,
    Modalities,
    StepResult,
    Tensor,
    Weights,
)
from keras_xkd.utils import features
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import presence

PROJECTORS = {"teacher": "teacher_projector", "student": "projector"}


@keras_xkd_export("keras_xkd.distillers.CMCD")
class CMCD(Distiller):
    """Distils a source modality into a target by contrast, without labels.

    Stage 2 of three. `ContrastivePretraining` learns the source's encoder;
    here it is frozen, and the target's encoder learns from unlabelled pairs;
    `keras_xkd.models.LinearProbe` then learns a task from few labels of the
    target.

    | term | weight | meaning |
    |---|---|---|
    | `distillation`, or the keys of a dict | 1 | `distillation_loss` |

    | `distillation_loss` | symbol |
    |---|---|
    | `CrossModalContrast()`, the default | CMC |
    | `SimilarityDistribution()` | CMD |
    | `{"cmd": ..., "cmc": ...}`, weights in `loss_weights` | their sum |

    The paper states the stages and both objectives. Projectors, temperatures
    and the default are this package's choice.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import CMCD
    >>> def encoder(modality, width):
    ...     inputs = keras.Input((width,), name=modality)
    ...     return keras.Model(inputs, keras.layers.Dense(8)(inputs))
    >>> cmcd = CMCD(student=encoder("sketch", 4), teacher=encoder("photo", 6))
    >>> cmcd.compile("adam")
    >>> x = {"sketch": np.ones((8, 4)), "photo": np.ones((8, 6))}
    >>> history = cmcd.fit(x, verbose=0)
    >>> sorted(history.history)
    ['distillation_loss', 'loss']
    >>> cmcd.predict({"sketch": np.ones((2, 4))}, verbose=0).shape
    (2, 8)

    Args:
        student: The target's encoder. It returns features, `(batch, width)`
            or with positions in between, which are averaged here; or a dict
            with the key `"features"`.
        teacher: The source's encoder, frozen.
        projector: A layer from the student's features to embeddings, by
            default `ProjectionHead` with two layers.
        teacher_projector: The projector of stage 1, frozen. Without it the
            teacher's features themselves are the embeddings, and the
            student's projector ends in their width.
        **kwargs: `name` and `dtype`.

    `x` holds the modalities of both encoders. There are no labels.

    Raises:
        ValueError: If there are labels or metrics, if the embeddings differ in
            width, and in training if all batches have one sample.

    Reference:

    - [Lin et al., 2024](https://arxiv.org/abs/2405.03355)
    """

    frozen = ("teacher", "teacher_projector")

    def __init__(
        self,
        *,
        student: keras.layers.Layer,
        teacher: keras.layers.Layer,
        projector: keras.layers.Layer | None = None,
        teacher_projector: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            student=student,
            teacher=teacher,
            teacher_projector=teacher_projector,
            **kwargs,
        )
        shape = features.pooled_shape(teacher, teacher_projector)
        self.add_role(
            "projector",
            features.make_projector(
                projector, student, units=shape and shape[-1]
            ),
        )

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        features.check_unlabelled(self, y)
        self.check_contrast(x, training)
        source, target = self.source(x), self.target(x, training)
        mask = both(
            presence(x, self.named["teacher"]),
            presence(x, self.named["student"]),
        )
        terms = {
            term: pair(
                {"features": source}, {"features": target}, None, mask,
                sample_weight, x, training,
            )
            for term, pair in self.plan.pairs.items()
        }  # fmt: skip
        return {}, terms, {}

    def source(self, x: Modalities) -> Tensor:
        """Embeddings of the source, constants: `(batch, width)`."""
        return no_gradient(self._embed, "teacher", x, training=False)

    def target(self, x: Modalities, training: bool = False) -> Tensor:
        """Embeddings of the target, of the same shape."""
        return self._embed("student", x, training)

    def _embed(self, role, x, training):
        outputs = self.run(role, x, training)
        rows = features.pooled(features.features_of(outputs, self.named[role]))
        projector = self.named.get(PROJECTORS[role])
        return rows if projector is None else projector(rows, training=training)

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        features.check_no_task(self, task_loss)
        if distillation_loss is None:
            distillation_loss = CrossModalContrast()
        shapes = [
            features.pooled_shape(self.teacher, self.teacher_projector),
            features.pooled_shape(self.student, self.projector),
        ]
        return features.plan_for_embeddings(
            self, distillation_loss, shapes, self.teacher.name
        )
