"""Questions about the graph of a Functional or Sequential network."""

import keras

# Layers without weights that may stand between the features and the logits.
_DROPOUTS = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)
# Layers that end in their `activation`. Others may use theirs within.
_ACTIVATING = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_SQUASHING = ("softmax", "sigmoid", "hard_sigmoid")


def output_structure(network):
    """The symbolic outputs of a network, None when they are not known.

    A single tensor comes back as it is, a dict as a dict.
    """
    if isinstance(network, keras.Sequential):
        return network.outputs[0] if network.built else None
    if hasattr(network, "operations"):  # Functional
        return network.output
    return None


def input_structure(network):
    """The symbolic inputs of a Functional or Sequential network."""
    if isinstance(network, keras.Sequential):
        return network.inputs[0]
    return network.input


def inferred_outputs(network):
    """The dict of outputs of a network without a graph, as far as known.

    A subclassed network that was called on data remembers the shapes; what it
    would return for them has shapes and dtypes, but no history.
    """
    shapes = next(iter((network.get_build_config() or {}).values()), None)
    if shapes is None:
        return {}
    inputs = keras.tree.map_shape_structure(keras.KerasTensor, _plain(shapes))
    found = {}
    for training in ({}, {"training": True}):  # It may return more then.
        try:
            outputs = network.compute_output_spec(inputs, **training)
        except Exception:  # Whatever it does with inputs of another dtype.
            continue
        if isinstance(outputs, keras.KerasTensor):
            outputs = {"logits": outputs}
        found |= outputs if isinstance(outputs, dict) else {}
    return found


def _plain(shapes):
    """The same without the dicts by which Keras tracks changes."""
    if isinstance(shapes, dict):
        return {key: _plain(value) for key, value in shapes.items()}
    return shapes


def features_before_head(network):
    """The tensor that enters the linear head of a classifier.

    Walks back from the single output over layers without weights to the one
    `Dense` head and returns its input, before a dropout in front of it.

    Raises:
        ValueError: If the network is not made like that. The message says
            why and asks for a dict of outputs or for `keras_xkd.models.tap`.
    """
    if getattr(network, "tapped_features", None) is not None:
        return network.tapped_features  # It says so itself.
    tensor = output_structure(network)
    if tensor is None:
        _refuse(network, "is neither a Functional nor a Sequential model")
    if not isinstance(tensor, keras.KerasTensor):
        _refuse(network, "has several outputs")
    while True:
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.Model):
            _refuse(network, f"ends in the nested model '{layer.name}'")
        if isinstance(layer, keras.layers.InputLayer):
            _refuse(network, "has no `Dense` head")
        if not isinstance(layer, keras.layers.Layer):
            _refuse(network, f"ends in the operation '{layer.name}'")
        if len(calls_of(network, layer)) > 1:
            _refuse(network, f"calls the layer '{layer.name}' more than once")
        if isinstance(layer, keras.layers.Dense):
            break
        if layer.weights:
            _refuse(network, f"ends in '{layer.name}', not in a `Dense` layer")
        tensor = _input_of(tensor, network)
    features = _input_of(tensor, network)
    while isinstance(features._keras_history.operation, _DROPOUTS):
        features = _input_of(features, network)
    return features


def calls_of(network, layer):
    """The calls (nodes) of `layer` in the graph of `network`."""
    queue = keras.tree.flatten(output_structure(network))
    seen, found = set(), []
    while queue:
        tensor = queue.pop()
        node = _node(tensor)
        if id(node) in seen:
            continue
        seen.add(id(node))
        queue.extend(node.input_tensors)
        if tensor._keras_history.operation is layer:
            found.append(node)
    return found


def operations_behind(tensor):
    """All that a tensor is computed with, its inputs included, by id."""
    found, seen, queue = {}, set(), [tensor]
    while queue:
        tensor = queue.pop()
        node = _node(tensor)
        if id(node) not in seen:
            seen.add(id(node))
            operation = tensor._keras_history.operation
            found[id(operation)] = operation
            queue.extend(node.input_tensors)
    return found


def positions_before(tensor):
    """The last tensor with positions that a pooled one was made from, or None.

    Walks back from `(batch, width)` as long as there is one tensor to come
    from. What no weight has touched, such as pixels, is no tensor of positions.
    """
    while len(tensor.shape) == 2:
        inputs = _node(tensor).input_tensors
        deep = [x for x in inputs if len(x.shape) > 2]
        if len(deep) != 1 and len(inputs) != 1:
            return None
        tensor = deep[0] if len(deep) == 1 else inputs[0]
        if isinstance(tensor._keras_history.operation, keras.layers.InputLayer):
            return None
    learned = any(
        getattr(operation, "weights", ())
        for operation in operations_behind(tensor).values()
    )
    return tensor if learned and len(tensor.shape) > 2 else None


def squashing_of(tensor):
    """The name of the softmax or sigmoid that a tensor comes from, or None."""
    if not isinstance(tensor, keras.KerasTensor):
        return None
    operation = tensor._keras_history.operation
    if getattr(operation, "squashing", None):
        return operation.squashing  # What a stand-in says of its network.
    if isinstance(operation, keras.Model):
        inner = output_structure(operation)
        flat = keras.tree.flatten(inner)
        index = tensor._keras_history.tensor_index
        return squashing_of(flat[index]) if index < len(flat) else None
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if isinstance(operation, _ACTIVATING):
        name = getattr(operation.activation, "__name__", None)
    elif isinstance(operation, keras.layers.Layer):
        name = None
    else:
        name = type(operation).__name__.lower()
    if name in _SQUASHING:
        return name
    passes_on = _DROPOUTS + (
        keras.layers.Reshape,
        keras.layers.Flatten,
        keras.layers.Identity,
    )
    if isinstance(operation, passes_on) or name == "linear":
        if not getattr(operation, "weights", ()):
            inputs = _node(tensor).input_tensors
            return squashing_of(inputs[0]) if len(inputs) == 1 else None
    return None


def _node(tensor):
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _input_of(tensor, network):
    inputs = _node(tensor).input_tensors
    if len(inputs) != 1:
        name = tensor._keras_history.operation.name
        _refuse(network, f"merges several tensors in '{name}'")
    return inputs[0]


def _refuse(network, why):
    raise ValueError(
        f"The features of '{network.name}' cannot be found: it {why}. Let the "
        'network return a dict such as `{"logits": ..., "features": ...}`, or '
        'name the layer: `keras_xkd.models.tap(network, {"features": '
        '"layer_name"})`.'
    )
