from collections.abc import Mapping
from typing import Any
from typing import Self

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Mask, Modalities, Outputs, PathLike, Tensor
from keras_xkd.utils import top_logits
from keras_xkd.utils.modalities import select_modalities


@keras_xkd_export("keras_xkd.layers.CachedTeacher")
class CachedTeacher(keras.Model):
    """Stands where a teacher stood, and returns what was stored of it.

    It reads `x["teacher_outputs"][role]`, which `keras_xkd.data.cache_teacher`
    puts there, and has no weights. A distiller does not see the difference:
    the outputs have the names and shapes of the teacher's, in float32; where
    `x["present"]` said that a sample lacked what the teacher reads, the
    sample is left out as before.

    Example:

    >>> import numpy as np
    >>> teacher = CachedTeacher({"logits": {"shape": [3], "top_k": 2}})
    >>> stored = {
    ...     "logits_values": np.array([[2.0, 1.0]]),
    ...     "logits_indices": np.array([[2, 0]]),
    ...     "logits_rest": np.array([[-1.0]]),
    ... }
    >>> x = {"teacher_outputs": {"teacher": stored}}
    >>> keras.ops.convert_to_numpy(teacher(x)["logits"])
    array([[ 1., -1.,  2.]], dtype=float32)

    Args:
        outputs: A dict by the names of the outputs. Each value is a dict with
            the `shape` of one sample, and optionally the `dtype`, float32 by
            default, and `top_k`, the number of logits that were stored.
        role: The name under which the outputs were stored.
        bare: Whether the teacher returned its logits alone, and not a dict.
            Features may be stored beside them, for losses that ask for them.
        squashing: A dict `{output: activation}` of those that went through a
            softmax or a sigmoid.
        name: Name of the layer.

    `CachedTeacher.from_cache` reads all of this from the files.
    """

    def __init__(
        self,
        outputs: Mapping[str, Mapping[str, Any]],
        role: str = "teacher",
        bare: bool = False,
        squashing: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        squashing = squashing or {}
        _check_outputs(outputs, bare)
        inputs, tensors = {}, {}
        for output, spec in outputs.items():
            own = {
                column: keras.Input(shape, dtype=dtype, name=f"{role}_{column}")
                for column, (shape, dtype) in _columns(output, spec).items()
            }
            inputs.update(own)
            stored = _StoredOutput(
                classes=spec["shape"][-1] if spec.get("top_k") else None,
                squashing=squashing.get(output),
                name=f"stored_{output}",
            )
            tensors[output] = stored(list(own.values()))
        super().__init__(
            inputs={"teacher_outputs": {role: inputs}},
            outputs=tensors["logits"] if bare else tensors,
            name=name,
        )
        self.specs = {n: dict(spec) for n, spec in outputs.items()}
        self.role = role
        self.bare = bare
        self.squashing = squashing
        # What a classifier with a graph has before its head.
        self.tapped_features = tensors.get("features") if bare else None

    @classmethod
    def from_cache(
        cls, directory: PathLike, role: str = "teacher", name: str | None = None
    ) -> Self:
        """The stand-in for a teacher whose outputs are in a folder.

        Args:
            directory: The folder that `keras_xkd.data.cache_teacher` wrote.
            role: The name of the teacher there.
            name: Name of the layer.

        Raises:
            ValueError: If the cache is not there or not complete.
        """
        from keras_xkd.data.teacher_reader import complete_manifest
        from keras_xkd.data.teacher_records import role_folder

        manifest = complete_manifest(role_folder(directory, role))
        return cls(
            manifest["outputs"],
            role,
            manifest["bare"],
            manifest["squashing"],
            name,
        )

    def call(
        self,
        inputs: Modalities,
        training: bool | None = None,
        mask: Mask = None,
    ) -> Outputs:
        return super().call(select_modalities(inputs, self), training, mask)

    def presence(self, x: Modalities) -> Tensor | None:
        """Which samples the teacher could answer, `(batch,)`; None for all."""
        stored = x.get("teacher_outputs", {}).get(self.role, {})
        return stored.get("present")

    def get_config(self) -> dict[str, Any]:
        # Plain ones of the dicts and lists by which Keras tracks changes.
        outputs = {
            name: {**spec, "shape": list(spec["shape"])}
            for name, spec in self.specs.items()
        }
        return {
            "outputs": outputs,
            "role": self.role,
            "bare": self.bare,
            "squashing": dict(self.squashing),
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        return cls(**config)


class _StoredOutput(keras.layers.Layer):
    """One output from its columns.

    `squashing` tells the checks of distillers what the teacher applied to it.
    """

    def __init__(self, classes, squashing, name):
        super().__init__(name=name, dtype="float32", autocast=False)
        self.classes = classes
        self.squashing = squashing

    def call(self, columns):
        if self.classes is None:
            return keras.ops.convert_to_tensor(columns[0])
        return top_logits.expand(*columns, self.classes)

    def compute_output_shape(self, shapes):
        if self.classes is None:
            return tuple(shapes[0])
        return (*shapes[0][:-1], self.classes)

    def compute_output_spec(self, columns):
        shape = self.compute_output_shape([c.shape for c in columns])
        return keras.KerasTensor(shape, columns[0].dtype)


def _columns(output, spec):
    """The stored columns of an output: `{column: (shape, dtype)}`."""
    shape, k = tuple(spec["shape"]), spec.get("top_k")
    dtype = spec.get("dtype", "float32")
    dtype = "float32" if dtype.startswith("float") else dtype
    if k is None:
        return {output: (shape, dtype)}
    sizes = {"values": (k, dtype), "indices": (k, "int32"), "rest": (1, dtype)}
    return {
        f"{output}_{part}": ((*shape[:-1], sizes[part][0]), sizes[part][1])
        for part in top_logits.PARTS
    }


def _check_outputs(outputs, bare):
    shaped = isinstance(outputs, dict) and all(
        isinstance(spec, dict) and "shape" in spec for spec in outputs.values()
    )
    if not outputs or not shaped or (bare and "logits" not in outputs):
        raise ValueError(
            "`outputs` must be a dict `{output: {'shape': ...}}` of at least "
            "one output, with 'logits' if `bare`. Use "
            "`CachedTeacher.from_cache`. Received: "
            f"outputs={outputs}, bare={bare}"
        )
