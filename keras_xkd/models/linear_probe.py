from typing import Any
from typing import Self

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import no_gradient
from keras_xkd.distillers.role_model import RoleModel
from keras_xkd.typing import Inputs, Labels, Modalities, Tensor, Weights
from keras_xkd.utils.features import features_of
from keras_xkd.utils.features import features_shape
from keras_xkd.utils.features import pooled
from keras_xkd.utils.quiet_reading import QuietReading
from keras_xkd.utils.reads_logits import ReadsLogits
from keras_xkd.utils.symbolic import TypedExport
from keras_xkd.utils.symbolic import symbolic_inputs
from keras_xkd.utils.terms import per_position


@keras_xkd_export("keras_xkd.models.LinearProbe")
class LinearProbe(QuietReading, TypedExport, ReadsLogits, RoleModel):
    """A linear layer on the features of an encoder.

    Linear evaluation trains the layer alone; fine-tuning trains the encoder
    with it. This is an ordinary Keras model: compile, fit, save and export it.

    Features of a sequence, `(batch, positions, width)`, are averaged over its
    positions, padded ones left out, as in `CMCD`. Dense features, `(batch,
    height, width, channels)`, give logits at every position, for segmentation;
    `output_size` brings them to the size of the masks by bilinear
    interpolation.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.models import LinearProbe
    >>> inputs = keras.Input((4,), name="audio")
    >>> encoder = keras.Model(inputs, keras.layers.Dense(8)(inputs))
    >>> probe = LinearProbe(encoder, 3)
    >>> probe.compile("adam", "sparse_categorical_crossentropy")
    >>> history = probe.fit(np.ones((6, 4)), np.zeros(6), verbose=0)
    >>> probe.predict({"audio": np.ones((2, 4))}, verbose=0).shape
    (2, 3)

    Args:
        encoder: A built network that returns features: one tensor, or a dict
            with the key `"features"`.
        units: Number of logits.
        fine_tune: Whether the encoder learns too. If not, it runs in
            inference mode and without gradient; its `trainable` flag is not
            touched.
        output_size: `(height, width)` of the logits, or None for that of the
            features.
        **kwargs: `name` and `dtype`.

    `x` is what the encoder reads, or a dict with more modalities.
    `compile` is that of Keras, but a classification loss or a metric given by
    name reads logits. Weights of shape `(batch,)` weigh whole masks.

    Raises:
        ValueError: If the width of the features is not known, or if
            `output_size` is given and the features have no such positions.
    """

    main = "encoder"
    parts = "roles"
    bare = True

    def __init__(
        self,
        encoder: keras.layers.Layer,
        units: int,
        fine_tune: bool = False,
        output_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder=encoder, **kwargs)
        self.frozen = () if fine_tune else ("encoder",)
        self.fine_tune = fine_tune
        self.units = units
        self.output_size = output_size and tuple(output_size)
        shape = features_shape(encoder)
        if shape is None or shape[-1] is None:
            raise ValueError(
                f"The width of the features of '{encoder.name}' is not known. "
                "Call the encoder once on data."
            )
        if output_size is not None and len(shape) != 4:
            raise ValueError(
                "`output_size` needs features of shape `(batch, height, width, "
                f"channels)`. Received: output_size={output_size}, features of "
                f"shape {shape}"
            )
        self.head = keras.layers.Dense(units, dtype=self.dtype_policy)
        self.head.build(shape)
        self.built = False
        inputs = symbolic_inputs([encoder])
        self(inputs if len(inputs) > 1 else next(iter(inputs.values())))

    def call(self, x: Inputs, training: bool | None = None) -> Tensor:
        if self.fine_tune:
            features = self._features(x, training)
        else:
            features = no_gradient(self._features, x, training=False)
        logits = self.head(features)
        if self.output_size is None:
            return logits
        return ops.image.resize(
            logits, self.output_size, "bilinear", data_format="channels_last"
        )

    def _features(self, x, training):
        outputs = self.run("encoder", x, training)
        features = features_of(outputs, self.encoder)
        return pooled(features) if len(features.shape) == 3 else features

    def compute_loss(
        self,
        x: Modalities | None = None,
        y: Labels = None,
        y_pred: Tensor = None,
        sample_weight: Weights = None,
        training: bool = True,
    ) -> Tensor:
        weight = per_position(sample_weight, y_pred)
        return super().compute_loss(x, y, y_pred, weight, training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "quantized": self.head.quantization_mode,
            "units": self.units,
            "fine_tune": self.fine_tune,
            "output_size": self.output_size,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        config = dict(config)
        quantized = config.pop("quantized", None)
        probe = super().from_config(config, custom_objects)
        if quantized:  # The encoder says so itself.
            probe.head.quantize(quantized)
        return probe
