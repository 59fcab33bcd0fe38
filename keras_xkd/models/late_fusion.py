from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import KeepsState
from keras_xkd.layers.fusion import Fusion
from keras_xkd.layers.modality_dropout import ModalityDropout
from keras_xkd.typing import (
    DTypeLike,
    FusionMode,
    Modalities,
    Networks,
    Rate,
    Tensor,
)
from keras_xkd.utils.graph import squashing_of
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent
from keras_xkd.utils.quiet_reading import QuietReading
from keras_xkd.utils.reads_logits import ReadsLogits
from keras_xkd.utils.symbolic import TypedExport
from keras_xkd.utils.symbolic import check_networks
from keras_xkd.utils.symbolic import symbolic_inputs
from keras_xkd.utils.symbolic import track


@keras_xkd_export("keras_xkd.models.LateFusion")
class LateFusion(
    QuietReading, KeepsState, TypedExport, ReadsLogits, keras.Model
):
    """One encoder for each modality, and one head on all their features.

    `model(x)` is `model.decide(model.encode(x))`, the logits. `x` is a dict
    `{modality: tensor}`; entries that no encoder reads are left out. If it
    has `x["present"]`, the features of absent modalities are zeros, so that
    the model answers for any sample that has at least one modality. `compile`
    is that of Keras, but a loss given by name reads logits.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.models import LateFusion
    >>> def encoder(modality, width):
    ...     inputs = keras.Input((width,), name=modality)
    ...     return keras.Model(inputs, keras.layers.Dense(8, "relu")(inputs))
    >>> model = LateFusion(
    ...     {"video": encoder("video", 6), "audio": encoder("audio", 4)},
    ...     units=3,
    ... )
    >>> x = {"audio": np.zeros((2, 4)), "video": np.zeros((2, 6))}
    >>> sorted(model.encode(x)), tuple(model(x).shape)
    (['audio', 'video'], (2, 3))

    Where a method compares its features, let it return them as well (the
    `input` of an `Encoder` is a dict already: merge these):

    >>> inputs = {name: e.input for name, e in model.encoders.items()}
    >>> features = model.fusion(model.encode(inputs))
    >>> outputs = {"logits": model.head(features), "features": features}
    >>> sorted(keras.Model(inputs, outputs)(x))
    ['features', 'logits']

    Args:
        encoders: A dict `{name: network}` of two or more built networks, in
            general named after the modality that they read. Each returns
            pooled features of shape `(batch, features)`, or a dict with the
            key `"features"`. They are sorted by name.
        units: Number of classes: the head is one `Dense` layer, as in the
            paper of UMT.
        head: A layer from fused features to logits, in the place of `units`.
        fusion: How features are merged: a `keras_xkd.layers.Fusion`, or its
            mode.
        dropout: A `keras_xkd.layers.ModalityDropout`, or its rate, that drops
            features in training: those of a dropped encoder are absent for
            the fusion. What `encode` returns stays whole, so that UMT goes on
            teaching every encoder. None for no dropout.
        name, dtype: See `keras.Model`.

    Raises:
        ValueError: If not exactly one of `units` and `head` is given, if an
            encoder is not built or does not return pooled features, or if the
            head ends in a softmax or sigmoid; in a call, if a modality is
            missing.
    """

    parts = "encoders"
    # It does without, but does better with it.
    optional = ("present",)

    def __init__(
        self,
        encoders: Networks,
        units: int | None = None,
        head: keras.layers.Layer | None = None,
        fusion: FusionMode | Fusion = "concat",
        dropout: Rate | ModalityDropout | None = None,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        # Every network casts its own inputs.
        super().__init__(name=name, dtype=dtype, autocast=False)
        check_networks("encoders", encoders, at_least=2)
        if (units is None) == (head is None):
            raise ValueError(
                "Give either `units`, the number of classes, or a `head`. "
                f"Received: units={units}, head={head}"
            )
        self.encoders = {key: encoders[key] for key in sorted(encoders)}
        track(self, self.encoders)
        self.modalities = tuple(
            sorted({m for e in encoders.values() for m in modalities_of(e)})
        )
        self.units = units
        policy = self.dtype_policy
        if not isinstance(fusion, Fusion):
            fusion = Fusion(fusion, dtype=policy, name="fusion")
        self.fusion: Fusion = fusion
        if isinstance(dropout, (int, float, dict)):
            dropout = ModalityDropout(dropout, name="dropout")
        if not isinstance(dropout, (ModalityDropout, type(None))):
            raise ValueError(
                "`dropout` must be a `ModalityDropout`, its rate or None. "
                f"Received: dropout={dropout!r}"
            )
        self.dropout = dropout
        if head is not None and not isinstance(head, keras.layers.Layer):
            raise ValueError(
                "`head` must be a Keras layer, from fused features to logits. "
                f"Received: head={head!r}"
            )
        if head is None:
            head = keras.layers.Dense(units, dtype=policy, name="head")
        self.head: keras.layers.Layer = head
        self._build(symbolic_inputs(self.encoders.values()))

    def encode(
        self, x: Modalities, training: bool | None = None
    ) -> dict[str, Tensor]:
        """The pooled features, a dict `{encoder: (batch, features)}`."""
        x = zero_absent(select_modalities(x, self))
        features = {}
        for name, encoder in self.encoders.items():
            inputs = select_modalities(x, encoder)
            outputs = encoder(inputs, training=training)
            if isinstance(outputs, dict):
                outputs = outputs.get("features")
            features[name] = outputs
        return features

    def decide(
        self,
        features: dict[str, Tensor],
        present: dict[str, Tensor] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        """The logits of pooled features.

        Args:
            features: What `encode` returns.
            present: What `present` returns; None if nothing is absent.
            training: Whether to drop modalities; passed on to the head.
        """
        if self.dropout is not None and training:
            features, present = self._drop(features, present)
        return self.head(self.fusion(features, present), training=training)

    def _drop(self, features, present):
        """The features after the dropout, and which there still are."""
        ones = ops.ones_like(next(iter(features.values()))[:, 0])
        present = {**dict.fromkeys(features, ones), **(present or {})}
        kept = self.dropout({**features, "present": present}, training=True)
        return {name: kept[name] for name in features}, kept["present"]

    def present(self, x: Modalities) -> dict[str, Tensor]:
        """Which samples each encoder can answer, `{encoder: (batch,)}`.

        Encoders that can answer all samples are left out.
        """
        masks = {n: presence(x, e) for n, e in self.encoders.items()}
        return {n: mask for n, mask in masks.items() if mask is not None}

    def call(self, x: Modalities, training: bool | None = None) -> Tensor:
        features = self.encode(x, training=training)
        return self.decide(features, self.present(x), training=training)

    def compute_output_spec(
        self, x: Modalities, training: bool | None = None
    ) -> keras.KerasTensor:
        # Keras would run it on sizes of its own where they are not known,
        # which may be too short for an encoder of raw audio.
        return self.call(x, training=training)

    def _build(self, inputs):
        """Builds fusion and head, and checks what the encoders return."""
        features = self.encode(inputs)
        for name, value in features.items():
            if len(getattr(value, "shape", ())) != 2:
                found = getattr(value, "shape", type(value).__name__)
                raise ValueError(
                    f"The encoder of '{name}' must return pooled features of "
                    "shape `(batch, features)`, or a dict with the key "
                    f"'features'. Received: {found}. Pool over positions first."
                )
        self.widths = {name: f.shape[-1] for name, f in features.items()}
        if self.dropout is not None:
            self.decide(features, training=True)  # Knows all names of rates.
        squashing = squashing_of(self.decide(features))
        if squashing:
            raise ValueError(
                f"The head ends in a {squashing}, but networks return logits "
                "here. Remove the activation."
            )
        self(inputs)  # Keras exports and saves only what was called.

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        # `quantize` changes the head that `units` stands for.
        own = self.units is None or self.head.dtype_policy != self.dtype_policy
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "encoders": {n: serialize(e) for n, e in self.encoders.items()},
            "units": None if own else self.units,
            "head": serialize(self.head) if own else None,
            "fusion": serialize(self.fusion),
            "dropout": serialize(self.dropout),
        }
