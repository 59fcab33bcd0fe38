import types
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.losses.nt_xent import NTXent
from keras_xkd.typing import (
    Labels,
    Losses,
    Modalities,
    StepResult,
    Transform,
    Weights,
)
from keras_xkd.utils import features
from keras_xkd.utils.augmentation import augmented
from keras_xkd.utils.augmentation import resolve_augmentation
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import optional_of
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities


@keras_xkd_export("keras_xkd.distillers.ContrastivePretraining")
class ContrastivePretraining(Distiller):
    """Trains an encoder of one modality without labels (SimCLR).

    Every sample is augmented twice; its two views are told from the views of
    all other samples. It is stage 1 of `CMCD`, which takes over `encoder` and
    `projector`.

    | term | weight | meaning |
    |---|---|---|
    | `contrast`, or the keys of a dict | 1 | `distillation_loss` |

    `distillation_loss` compares the embeddings of the two views, by default
    `NTXent()`. Evaluation augments as well, so that `val_loss` is the same
    quantity. The method is the paper's; the augmentations below, and a head
    of two layers that ends in 128, are this package's choice.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import ContrastivePretraining
    >>> inputs = keras.Input((6,), name="audio")
    >>> encoder = keras.Model(inputs, keras.layers.Dense(8)(inputs))
    >>> pretraining = ContrastivePretraining(encoder=encoder)
    >>> pretraining.compile("adam")
    >>> history = pretraining.fit({"audio": np.ones((8, 6))}, verbose=0)
    >>> sorted(history.history)
    ['contrast_loss', 'loss']
    >>> pretraining.predict({"audio": np.ones((2, 6))}, verbose=0).shape
    (2, 8)

    Args:
        encoder: The network to train. It returns features, `(batch, width)`
            or with positions in between, which are averaged here; or a dict
            with the key `"features"`.
        projector: A layer from features to embeddings, by default
            `ProjectionHead(128, hidden=width)`.
        augment: A layer or callable, or a dict `{modality: layer or
            callable}`; not trained. By default images are flipped,
            shifted and enlarged, spectrograms `(frames, bins)` masked by
            `SpecAugment`, and anything else gets `ScaledGaussianNoise(0.5)`.
            Add changes of colour, which matter for images, with the range of
            your values, and `TokenDropout` for text, with its mask token.
        **kwargs: `name` and `dtype`.

    `x` holds the encoder's modality. There are no labels.

    Raises:
        ValueError: If there are labels, if `augment` is not of this kind or
            has no default, and in training if all batches have one sample.

    Reference:

    - [Chen et al., 2020](https://arxiv.org/abs/2002.05709)
    """

    main = "encoder"
    frozen = ()
    players = {"encoder": None}

    def __init__(
        self,
        *,
        encoder: keras.layers.Layer,
        projector: keras.layers.Layer | None = None,
        augment: Transform | Mapping[str, Transform] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder=encoder, **kwargs)
        projector = features.make_projector(projector, encoder, units=128)
        self.add_role("projector", projector)
        self.given_augment = augment
        self.augment = resolve_augmentation(augment, encoder)

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        features.check_unlabelled(self, y)
        self.check_contrast(x, training)
        outputs = self.run("encoder", self._views(x), training)
        rows = features.pooled(features.features_of(outputs, self.encoder))
        one, two = ops.split(self.projector(rows, training=training), 2)
        mask = presence(x, self.encoder)
        terms = {
            term: pair(
                {"features": one}, {"features": two}, None, mask,
                sample_weight, x, training,
            )
            for term, pair in self.plan.pairs.items()
        }  # fmt: skip
        return {}, terms, {}

    def _views(self, x):
        """Two views of every sample: a batch of twice the size."""
        if not isinstance(x, dict):
            x = {modalities_of(self.encoder)[0]: x}
        select_modalities(x, self.encoder)  # Says so if one is missing.
        views = [augmented(x, self.augment) for _ in range(2)]
        read = [*modalities_of(self.encoder), *optional_of(self.encoder)]
        return keras.tree.map_structure(
            lambda *both: ops.concatenate(both),
            *({name: v[name] for name in read if name in v} for v in views),
        )

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        features.check_no_task(self, task_loss)
        if not isinstance(distillation_loss, dict):
            distillation_loss = {"contrast": distillation_loss or NTXent()}
        shape = features.pooled_shape(self.encoder, self.projector)
        return features.plan_for_embeddings(
            self, distillation_loss, [shape, shape], self.encoder.name
        )

    def idle_layers(self) -> list[keras.layers.Layer]:
        # Augmentations are not trained.
        parts = self.augment.values()
        layers = [n for n in parts if isinstance(n, keras.layers.Layer)]
        return [*super().idle_layers(), *layers]

    def get_config(self) -> dict[str, Any]:
        given = keras.saving.serialize_keras_object(self.given_augment)
        return {**super().get_config(), "augment": given}
