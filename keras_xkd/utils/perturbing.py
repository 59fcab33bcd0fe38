"""Random changes of a student's inputs, and of what lies on its images."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeAlias

import keras
from keras import layers
from keras import ops

from keras_xkd.typing import Transform
from keras_xkd.utils.modalities import RESERVED
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent

LABELS = "pseudo-labels"
Perturbation: TypeAlias = (
    Transform | Mapping[str, Transform] | Sequence[Transform]
)


class Perturbing:
    """Applies layers and callables to the modalities of a batch.

    Args:
        perturbation: A layer or callable for every modality, a dict
            `{modality: layer or callable}`, or a list of both, applied one
            after the other; a `Sequential` is such a list. None changes
            nothing.
        student: The network that reads the modalities.

    Raises:
        ValueError: If something is not callable, names an unknown modality,
            or mixes samples.
    """

    def __init__(self, perturbation, student):
        self.student = student
        names = [n for n in modalities_of(student) if n not in RESERVED]
        self.names = tuple(names)
        self.steps = []  # (modalities, layer or callable)
        if perturbation is None:
            return
        if not isinstance(perturbation, (list, tuple)):
            perturbation = [perturbation]
        for part in perturbation:
            if not isinstance(part, dict):
                self._add(self.names, part)
                continue
            unknown = sorted(set(part) - set(names))
            if unknown:
                raise ValueError(
                    f"`perturbation` names the modalities {unknown}. The "
                    f"student reads {sorted(names)}"
                )
            for name, function in part.items():
                self._add((name,), function)

    @property
    def layers(self):
        functions = [function for _, function in self.steps]
        return [n for n in functions if isinstance(n, keras.layers.Layer)]

    def _add(self, names, function):
        if isinstance(function, (layers.Pipeline, keras.Sequential)):
            for layer in function.layers:
                self._add(names, layer)
            return
        if not callable(function) or isinstance(function, type):
            raise ValueError(
                "`perturbation` must be a layer (not its class), a callable, a "
                "dict `{modality: layer or callable}` or a list of them. "
                f"Received: {function!r}"
            )
        if isinstance(function, (layers.MixUp, layers.CutMix)):
            raise ValueError(
                f"`{type(function).__name__}` mixes samples, while the "
                "pseudo-labels are those of the single ones. Choose a "
                "perturbation that leaves every sample by itself."
            )
        if _is_joint(function) and names != self.names:
            raise ValueError(
                f"{function} looks at all modalities at once. Give it by "
                "itself or in a list, not in a dict. Received: "
                f"perturbation={{{names[0]!r}: ...}}"
            )
        self.steps.append((names, function))

    def __call__(self, x, y, clean, plan):
        """Perturbs a batch; what is absent stays zero.

        Args:
            x: The batch, a dict.
            y: Its pseudo-labels.
            clean: Outputs by name that belong to it.
            plan: What `MKE.prepare` returned.

        Returns:
            `x`, and `y` and `clean`, moved like the images on which they lie.
        """
        if not self.steps:
            return x, y, clean
        if not isinstance(x, dict):
            raise ValueError(
                "A perturbation finds modalities by name: `x` must be a dict "
                f"with {sorted(self.names)}. Received: {type(x).__name__}"
            )
        select_modalities(x, self.student)  # Raises if one is missing.
        x, maps = keras.tree.map_structure(ops.convert_to_tensor, x), {}
        on_pixels = len(y.shape) == (3 if plan.kind == "sparse" else 4)
        if on_pixels and any(_is_image_layer(n) for n in self.layers):
            maps = _maps(y, clean, plan)
        for names, function in self.steps:
            if _is_joint(function):
                joint = [*names, *(["present"] if "present" in x else [])]
                x |= _call(function, {name: x[name] for name in joint})
            elif _is_image_layer(function):
                images, maps = self._move(function, names, x, maps)
                x |= images
            else:
                x |= {name: _call(function, x[name]) for name in names}
        if maps:
            labels = ops.cast(maps.pop(LABELS), y.dtype)
            y = labels if len(y.shape) == 4 else labels[..., 0]
            clean = maps
        return zero_absent(x), y, clean

    def _move(self, layer, names, x, maps):
        """All images and maps by the same random transformation."""
        images = {name: x[name] for name in names}
        shapes = {name: tuple(v.shape) for name, v in images.items()}
        sizes = {shape[1:-1] for shape in shapes.values()}
        if len(sizes) > 1 or len(next(iter(sizes))) != 2:
            raise ValueError(
                f"'{layer.name}' perturbs images (batch, height, width, "
                "channels), several modalities of one size alike. Give a dict "
                "`{modality: layer}` to perturb only some of them. Received: "
                f"{shapes}"
            )
        stacked = _stack(images, layer.compute_dtype)
        if not maps:
            return _unstack(_call_stacked(layer, stacked, names), images), maps
        if isinstance(layer, (layers.AugMix, layers.RandomElasticTransform)):
            raise ValueError(
                f"`{type(layer).__name__}` does not move a segmentation mask "
                "as it moves the image. Choose another perturbation."
            )
        masks = _stack(maps, layer.compute_dtype)
        given = {"images": stacked, "segmentation_masks": masks}
        found = _call_stacked(layer, given, names)
        # Layers that only change colours return the masks as they are.
        if found["segmentation_masks"] is not masks:
            self._check_move(layer, names, x, masks)
            maps = _unstack(found["segmentation_masks"], maps)
        return _unstack(found["images"], images), maps

    def _check_move(self, layer, names, x, masks):
        size = tuple(masks.shape)[1:3]
        aligned = {
            name
            for name in self.names
            if len(getattr(x[name], "shape", ())) == 4
            and tuple(x[name].shape)[1:3] == size
        }
        if not aligned >= set(names):
            raise ValueError(
                f"'{layer.name}' moves the images, and the pseudo-labels must "
                f"move along, but have another size: {size}. Received: images "
                f"of size {tuple(x[names[0]].shape)[1:3]}"
            )
        if aligned != set(names):
            raise ValueError(
                f"'{layer.name}' moves {sorted(names)} and the pseudo-labels, "
                f"but not {sorted(aligned - set(names))}, on which they lie "
                "too. Give the layer by itself or in a list: then it moves "
                "all images alike."
            )


def _is_joint(function):
    return getattr(function, "joint", False)


def _is_image_layer(function):
    is_layer = isinstance(function, keras.layers.Layer)
    return is_layer and hasattr(function, "transform_segmentation_masks")


def _maps(y, clean, plan):
    """What lies on the pixels, each `(batch, height, width, channels)`."""
    compared = {pair.comparison.output for pair in plan.pairs.values()}
    for name in compared:
        if tuple(clean[name].shape)[1:3] != tuple(y.shape)[1:3]:
            raise ValueError(
                f"A consistency of '{name}' cannot move along with the images: "
                "compare 'logits'. Received: pseudo-labels of shape "
                f"{tuple(y.shape)}, {name} of shape {tuple(clean[name].shape)}"
            )
    maps = {name: clean[name] for name in sorted(compared)}
    return {LABELS: y if len(y.shape) == 4 else y[..., None], **maps}


def _call(function, value):
    if isinstance(function, keras.layers.Layer):
        return function(value, training=True)
    return function(value)


def _call_stacked(layer, value, names):
    """Calls a layer on the images of modalities, channel by channel."""
    try:
        if isinstance(layer, layers.RandomRotation) and isinstance(value, dict):
            return _rotate(layer, value)
        return _call(layer, value)
    except Exception as error:
        if len(names) == 1:
            raise
        raise ValueError(
            f"'{layer.name}' cannot move the images of {sorted(names)} alike, "
            "with their channels in one stack: some layers take nothing but "
            "RGB. Give each modality a layer of its own, in a dict "
            "`{modality: layer}`."
        ) from error


def _rotate(layer, given):
    """Rotates images and masks, each with a matrix of its own.

    Keras hands both the same one, and its `affine_transform` on PyTorch changes
    it in place: the masks would be rotated otherwise than the images.
    """
    angle = layer.get_random_transformation(given, training=True)
    images, masks = given["images"], given["segmentation_masks"]
    return {
        "images": layer.transform_images(images, _copy(angle)),
        "segmentation_masks": layer.transform_segmentation_masks(
            masks, _copy(angle)
        ),
    }


def _copy(tensors):
    return keras.tree.map_structure(
        lambda t: ops.copy(t) if ops.is_tensor(t) else t, tensors
    )


def _stack(tensors, dtype):
    tensors = [ops.cast(tensor, dtype) for tensor in tensors.values()]
    return ops.concatenate(tensors, axis=-1) if tensors[1:] else tensors[0]


def _unstack(stacked, like):
    """Undoes `_stack`: the tensors by name. They keep the common type."""
    parts, start = {}, 0
    for name, tensor in like.items():
        end = start + tensor.shape[-1]
        parts[name] = stacked[..., start:end]
        start = end
    return parts
