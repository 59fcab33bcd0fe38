"""What is explained: the scores of a network, and what it was shown."""

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import no_gradient
from keras_xkd.distillers.role_model import RoleModel
from keras_xkd.utils.modalities import check_batch
from keras_xkd.utils.modalities import known_modalities
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.outputs import prediction
from keras_xkd.visualization import places


class Subject:
    """A network, a batch, one modality of it, and a score for each sample.

    Args:
        model: A Keras network, or a distiller, whose student is meant.
        x: A batch: a dict of arrays, or the array that the network reads.
        target: An index of the outputs, one for each sample, or None for the
            largest output.
        modality: Name of a modality, or the keys that lead to a tensor. None
            if there is only one that can be differentiated.
        channels: Whether the last axis of the modality holds channels; None
            for four axes or more.
    """

    def __init__(self, model, x, target=None, modality=None, channels=None):
        if isinstance(model, RoleModel):
            model = model.roles[model.main]
        if not isinstance(model, keras.layers.Layer):
            raise ValueError(
                "`model` must be a Keras network or a distiller. Received: "
                f"model={model!r}"
            )
        self.network = model
        names = known_modalities(model)
        if isinstance(x, dict) or names:
            x = select_modalities(x, model)
        check_batch(x if isinstance(x, dict) else {"x": x})
        self.inputs = keras.tree.map_structure(_to_tensor, x)
        if not model.built:
            model(self.inputs, training=False)
        self.place = places.choose(model, self.inputs, names, modality)
        values = places.get(self.inputs, self.place)
        self.x = ops.cast(values, keras.config.floatx())
        shape = tuple(self.x.shape)
        self.channels = len(shape) > 3 if channels is None else bool(channels)
        self.item_shape = shape[1:-1] if self.channels else shape[1:]
        if not self.item_shape:
            raise ValueError(
                "The modality must have positions beside samples and "
                f"channels. Received: shape {shape}, channels={self.channels}"
            )
        if shape[0] == 0 or not ops.all(ops.isfinite(self.x)):
            what = "NaN or inf" if shape[0] else "a batch without samples"
            raise ValueError(
                f"`x` must hold samples, and must be finite. Received: {what}"
            )
        self.target = self._resolve(target)

    def __len__(self):
        return self.x.shape[0]

    def inputs_with(self, x):
        """What the network reads, with another tensor for the modality."""
        return places.put(self.inputs, self.place, x)

    def outputs(self, inputs):
        """Logits or scores, `(batch, outputs)`.

        The state of the network, such as that of random numbers, stays.
        """
        with keras.StatelessScope():
            outputs = self.network(inputs, training=False)
        if not isinstance(outputs, dict):
            outputs = {"logits": outputs}
        outputs = ops.cast(prediction(outputs), "float32")
        if len(outputs.shape) == 1:
            outputs = outputs[:, None]
        if len(outputs.shape) != 2:
            raise ValueError(
                f"'{self.network.name}' must return logits or scores of shape "
                f"`(batch, outputs)`. Received: shape {tuple(outputs.shape)}"
            )
        return outputs

    def score(self, x):
        """The sum of the scores of the samples, which share nothing."""
        return ops.sum(self.of_target(self.outputs(self.inputs_with(x))))

    def of_target(self, outputs):
        """The entry of each row that is explained, `(batch,)`."""
        target = ops.convert_to_tensor(self.target[:, None])
        return ops.take_along_axis(outputs, target, axis=1)[:, 0]

    def _resolve(self, target):
        outputs = no_gradient(self.outputs, self.inputs_with(self.x))
        outputs = ops.convert_to_numpy(outputs)
        size, count = outputs.shape
        if target is None:
            return outputs.argmax(axis=1).astype("int32")
        found = (
            ops.convert_to_numpy(target) if ops.is_tensor(target) else target
        )
        found = np.asarray(found)
        if (
            found.dtype.kind not in "iu"
            or found.shape not in ((), (size,), (size, 1))
            or found.min() < 0
            or found.max() >= count
        ):
            raise ValueError(
                f"`target` must be an index of the {count} outputs of "
                f"'{self.network.name}', 0 to {count - 1}, or one for each of "
                f"the {size} samples. Received: target={target!r}"
            )
        rows = found.astype("int32").reshape(-1)
        return np.ascontiguousarray(np.broadcast_to(rows, (size,)))


def _to_tensor(x):
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    floating = keras.backend.is_float_dtype(dtype)
    return ops.cast(x, keras.config.floatx()) if floating else x
