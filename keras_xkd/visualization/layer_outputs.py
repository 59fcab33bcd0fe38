"""What the layers of a network return, wherever in it they are."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import gradient_of
from keras_xkd.backend import no_gradient


class LayerOutputs:
    """The outputs with positions of all layers, in the order of their calls.

    Args:
        subject: The `Subject`.
        inputs: What its network reads.
    """

    def __init__(self, subject, inputs):
        self.subject = subject
        self.calls = {}
        self.learned = set()
        layers = layers_of(subject.network)
        with intercepting(layers, self._see):
            no_gradient(subject.outputs, inputs)

    def _see(self, layer, output):
        # What comes before all weights are the data themselves.
        if layer.weights or self.learned:
            self.learned.add(layer)
        if has_positions(output):
            earlier = self.calls.pop(layer, [])
            self.calls[layer] = [*earlier, output]
        return output

    def values(self, layer):
        """An array `(batch, *positions, channels)`, None if not known."""
        calls = self.calls.get(layer, ())
        if not calls:
            return None
        try:
            arrays = [to_float32(output) for output in calls]
        except Exception:  # It was traced: each backend has its own error.
            return None
        return self.arrange(arrays)

    def arrange(self, arrays):
        """One array of those of all calls, with the samples first.

        An encoder of images sees the frames of a video in the batch, or one
        after the other.
        """
        size, item_shape = len(self.subject), self.subject.item_shape
        frames = item_shape[0] if len(item_shape) == 3 else 1
        if len(arrays) == 1 and len(arrays[0]) == size:
            return arrays[0]
        if len(arrays) == 1 and len(arrays[0]) == size * frames:
            return arrays[0].reshape(size, frames, *arrays[0].shape[1:])
        shapes = {array.shape for array in arrays}
        if len(arrays) == frames and len(shapes) == 1:
            stacked = np.stack(arrays, axis=1)
            return stacked if len(stacked) == size else None
        return None

    def gradient(self, layer):
        """The gradient of the score with respect to `values(layer)`."""
        calls, subject = self.calls[layer], self.subject

        def score(moved):
            index = iter(range(len(calls)))

            def see(layer, output):
                if not has_positions(output):  # An activation has both kinds.
                    return output
                return output + ops.cast(moved[next(index)], output.dtype)

            with intercepting([layer], see):
                return subject.score(subject.x)

        still = ops.zeros((len(calls), *calls[0].shape), "float32")
        return self.arrange(list(to_float32(gradient_of(score, still))))


def layers_of(network):
    """All layers of a network, those of nested models and itself too."""
    return list(network._flatten_layers())


@contextlib.contextmanager
def intercepting(layers, see):
    """Every call of a layer returns `see(layer, output)`."""
    before = {layer: vars(layer).get("call") for layer in layers}
    try:
        for layer in layers:
            vars(layer)["call"] = _seen(layer, layer.call, see)
        yield
    finally:
        for layer, call in before.items():
            if call is None:
                vars(layer).pop("call", None)
            else:
                vars(layer)["call"] = call


def _seen(layer, call, see):
    def seen(*args, **kwargs):
        return see(layer, call(*args, **kwargs))

    return seen


def has_positions(output):
    """Whether it is a tensor `(batch, *positions, channels)` of floats."""
    if len(getattr(output, "shape", ())) < 3:
        return False
    dtype = keras.backend.standardize_dtype(output.dtype)
    return keras.backend.is_float_dtype(dtype)


def to_float32(tensor):
    """A float32 array, of a tensor with or without a gradient."""
    tensor = ops.cast(ops.stop_gradient(tensor), "float32")
    return ops.convert_to_numpy(tensor)
