"""Which layers of a backbone learn, and which of them by LoRA."""

import keras

# What share of the weights blocks must have to be all that a layer consists of.
_MOST = 0.9


def check_trainable(trainable, lora_rank):
    """Raises for a policy that makes no sense, whatever the backbone."""
    is_count = isinstance(trainable, int) and not isinstance(trainable, bool)
    if trainable not in ("all", "none") and not (is_count and trainable > 0):
        raise ValueError(
            "`trainable` must be 'all', 'none' or a number of blocks, 1 or "
            f"more. Received: trainable={trainable!r}"
        )
    if lora_rank is None:
        return
    if not isinstance(lora_rank, int) or lora_rank < 1:
        raise ValueError(
            "`lora_rank` must be a positive integer or None. Received: "
            f"lora_rank={lora_rank!r}"
        )
    if trainable == "none":
        raise ValueError(
            "`lora_rank` says how a backbone learns, so it needs "
            "`trainable='all'` or a number of blocks. Received: "
            f"trainable='none', lora_rank={lora_rank}"
        )


def plan_freezing(backbone, trainable):
    """The layers to freeze so that the last blocks learn.

    Args:
        backbone: A Functional or Sequential model.
        trainable: `"all"` freezes nothing, `"none"` everything, a number k
            what comes before the last k blocks.

    Raises:
        ValueError: If there are fewer blocks.
    """
    if trainable == "all":
        return []
    if trainable == "none":
        return [backbone]
    blocks = blocks_of(backbone)
    if trainable > len(blocks):
        raise ValueError(
            f"`trainable` must be at most the number of blocks of "
            f"'{backbone.name}', {len(blocks)}. Received: "
            f"trainable={trainable}"
        )
    return _before(backbone, blocks[-trainable])


def blocks_of(model):
    """The blocks of a model in their order, each by its (first) layer.

    These are, of the layers that consist of layers, those of one class that
    are, or are made of, the most blocks. Or, if there are more of them, the
    parts of the graph that end where a branch is added to a shortcut. In a
    graph without either, every layer with a kernel is a block.
    """
    groups = {}
    for layer in _children(model):
        if layer.weights and _children(layer):
            groups.setdefault(type(layer), []).append(layer)
    found = [sum(map(_inside, g), []) for g in reversed(groups.values())]
    starts, merged = [], True
    for layer in getattr(model, "operations", _children(model)):
        if merged and _has_kernel(layer):
            starts.append(layer)
            merged = False
        merged = merged or _is_merge(layer)
    if len(starts) > 1 or (starts and not found):
        found.append(starts)
    blocks = max(found, key=len, default=[])
    if len(blocks) > 1 or groups:
        return blocks
    return [x for x in _children(model) if _has_kernel(x)]


def lora_layers(model):
    """The layers that learn by LoRA, in a fixed order."""
    return [
        layer
        for layer in model._flatten_layers()
        if getattr(layer, "lora_enabled", False)
    ]


def plan_lora(backbone, frozen):
    """The layers that LoRA can be enabled on: all but embeddings.

    Args:
        backbone: A model.
        frozen: Layers that shall not learn.

    Raises:
        ValueError: If there are none.
    """
    frozen = {
        id(inner) for layer in frozen for inner in layer._flatten_layers()
    }
    layers = [
        layer
        for layer in backbone._flatten_layers(include_self=False)
        if hasattr(layer, "enable_lora")
        and not _children(layer)
        and not isinstance(layer, keras.layers.Embedding)
        and id(layer) not in frozen
    ]
    if not layers:
        raise ValueError(
            f"`lora_rank` needs layers with `enable_lora`, such as `Dense` and "
            f"`EinsumDense`. '{backbone.name}' has none that learns."
        )
    return layers


def start_lora(backbone, layers, rank):
    """Freezes a backbone and enables LoRA on some of its layers."""
    backbone.trainable = True
    for layer in backbone._flatten_layers(include_self=False):
        layer.trainable = False
    for layer in layers:
        enable_lora(layer, rank)


def enable_lora(layer, rank, alpha=None):
    """LoRA on one layer, whose own weights, the bias included, are frozen."""
    own = [*layer.weights]
    layer.trainable = True
    layer.enable_lora(rank, lora_alpha=alpha)
    for weight in own:
        weight.trainable = False


def state_of(model):
    """Which layers and weights learn, and how, and which are quantized."""
    layers = _in_graph(model)
    return {
        "quantized": [
            [i, layer.quantization_mode]
            for i, layer in enumerate(layers)
            if getattr(layer, "quantization_mode", None)
        ],
        "frozen_layers": [i for i, x in enumerate(layers) if not x.trainable],
        "lora": [
            [i, layer.lora_rank, layer.lora_alpha]
            for i, layer in enumerate(layers)
            if getattr(layer, "lora_enabled", False)
        ],
        "frozen_weights": [
            i for i, x in enumerate(model.weights) if not x.trainable
        ],
    }


def restore(model, state):
    """Brings a model of the same form into the state of another."""
    layers = _in_graph(model)
    for i, mode in state["quantized"]:
        # The layers of keras-hub's blocks do not say it themselves.
        if layers[i].quantization_mode is None:
            layers[i].quantize(mode)
    frozen = set(state["frozen_layers"])
    for i, layer in enumerate(layers):  # A layer comes before those in it.
        if layer.trainable == (i in frozen):
            layer.trainable = i not in frozen
    for i, rank, alpha in state["lora"]:
        if not layers[i].lora_enabled:
            layers[i].enable_lora(rank, lora_alpha=alpha)
    for i, weight in enumerate(model.weights):
        if weight.trainable and i in state["frozen_weights"]:
            weight.trainable = False


def _in_graph(model):
    """A model and the layers of its graph at any depth, parents first."""
    return [model, *(x for y in model.layers for x in y._flatten_layers())]


def _children(layer):
    """The layers in a layer, in the order of the graph or of creation."""
    if isinstance(layer, keras.Model):
        return layer.layers
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _inside(layer):
    """The blocks that make up a layer; the layer itself if it is one."""
    blocks = blocks_of(layer) if _children(layer) else []
    size = sum(block.count_params() for block in blocks)
    composite = blocks and all(map(_children, blocks))
    if composite and size >= _MOST * layer.count_params():
        return blocks
    return [layer]


def _has_kernel(layer):
    return any("kernel" in w.name for w in getattr(layer, "weights", ()))


def _is_merge(operation):
    """Whether it joins branches: a layer of Keras, or the operation alike."""
    return type(operation).__name__ in ("Add", "Concatenate") and any(
        len(node.input_tensors) > 1 for node in operation._inbound_nodes
    )


def _before(layer, block):
    """What comes before a block, at every level down to it."""
    found = []
    for child in _children(layer):
        if child is block:
            return found
        if any(inner is block for inner in child._flatten_layers()):
            return found + _before(child, block)
        found.append(child)
    return found
