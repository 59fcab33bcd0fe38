"""What TensorBoard reads, written by TensorFlow alone.

`tf.summary.scalar` is part of the package tensorboard, which TensorFlow no
longer brings along: it is needed to look at the files, not to write them.
"""

import importlib.util
import struct
from typing import Any

import keras
import numpy as np

NEEDS_TENSORFLOW = (
    "`callbacks.TensorBoard` writes its files through TensorFlow, on every "
    "backend, and TensorFlow is not installed: `pip install tensorflow`. To "
    "look at them, also `pip install tensorboard`."
)
# The kinds of data, as TensorBoard numbers them.
_SCALAR, _IMAGES = 1, 3


def check_tensorflow() -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(NEEDS_TENSORFLOW, name="tensorflow")


class EventSummary:
    """In the place of the module `tf.summary`, which does all the rest.

    Args:
        writes: Whether this process writes; the others write nothing.
    """

    def __init__(self, writes: bool = True) -> None:
        check_tensorflow()
        import tensorflow as tf

        self.tf = tf
        self.writes = writes

    def __getattr__(self, name):
        return getattr(self.tf.summary, name)

    def create_file_writer(self, folder: str) -> Any:
        if not self.writes:
            return self.tf.summary.create_noop_writer()
        return self.tf.summary.create_file_writer(folder)

    def scalar(self, name: str, data: Any, step: Any = None) -> None:
        """Writes a number."""
        # Keras calls this in every step, mostly without a writer.
        if self.tf.summary.should_record_summaries():
            value = keras.ops.convert_to_numpy(data)
            value = np.float32(np.mean(value))
            self._write(name, value, step, "scalars", _SCALAR)

    def png(self, name: str, image: bytes, step: Any = None) -> None:
        """Writes a picture."""
        # Width and height stand at the same place in every PNG.
        size = [str(n).encode() for n in struct.unpack(">II", image[16:24])]
        self._write(name, [*size, image], step, "images", _IMAGES)

    def _write(self, name, value, step, plugin, kind):
        metadata = self.tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        metadata.data_class = kind
        if step is not None:
            step = int(keras.ops.convert_to_numpy(step))
        tensor = self.tf.constant(value)
        self.tf.summary.write(name, tensor, step, metadata)
