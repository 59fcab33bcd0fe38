"""Which token of a backbone stands for the whole input."""

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import no_gradient
from keras_xkd.models.backbone_parts import named_inputs
from keras_xkd.models.backbone_parts import named_outputs
from keras_xkd.models.backbone_parts import run
from keras_xkd.utils.graph import output_structure

_ATTRIBUTES = ("cls_token_index", "start_token_index")


def count_leading_tokens(network):
    """How many tokens of an image come before those of its patches.

    The first convolution whose strides are its size cuts the patches out;
    what the backbone returns more than patches are a class token, registers
    and the like. 0 if there is no such convolution, or if the backbone does
    not say how many tokens there are.
    """
    images = list(named_inputs(network).values())
    outputs = named_outputs(output_structure(network))
    convolutions = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.Conv2D)
        and layer.kernel_size == layer.strides != (1, 1)
    ]
    if len(images) > 1 or "features" in outputs or not convolutions:
        return 0
    tokens, sizes = outputs["tokens"], images[0].shape[1:3]
    if len(tokens.shape) != 3 or None in (tokens.shape[1], *sizes):
        return 0
    strides = convolutions[0].strides
    patches = np.prod([size // s for size, s in zip(sizes, strides)])
    return max(0, int(tokens.shape[1] - patches))


def find_class_token(backbone, network, kind, leading):
    """`"first"` or `"last"`: where the class token is.

    Of images it is the first token if some come before the patches. Of text
    it is the first, too; but where tokens see only what is before them, as in
    CLIP, the last one, the end of the text. That is tried out.

    Raises:
        ValueError: If there is no class token.
    """
    if leading:
        return "first"
    outputs = named_outputs(output_structure(network))
    if kind != "text" or "features" in outputs:
        why = "it has no class token"
        if "features" in outputs:
            why = "it returns features that it has pooled by itself"
        raise ValueError(
            f"`pooling='cls'` does not fit the backbone '{network.name}': {why}"
            ". Use 'mean', 'max' or 'attention'."
        )
    if any(getattr(backbone, name, None) == 0 for name in _ATTRIBUTES):
        return "first"
    return "last" if _looks_back_only(network) else "first"


def _looks_back_only(network):
    """Whether the first token does not depend on the last one."""
    inputs = named_inputs(network)

    def value(name, tensor):
        if "mask" in name:
            array = np.ones((2, 3))
        elif "token_ids" in name or len(inputs) == 1:
            array = np.array([[1, 1, 0], [1, 1, 1]])
        else:
            array = np.zeros((2, 3))
        return ops.convert_to_tensor(array, tensor.dtype)

    tensors = {name: value(name, x) for name, x in inputs.items()}
    tokens = no_gradient(lambda: run(network, tensors)["tokens"])
    one, other = ops.convert_to_numpy(ops.cast(tokens, "float32"))[:, 0]
    return np.allclose(one, other, rtol=1e-5, atol=1e-6)
