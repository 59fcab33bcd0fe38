"""Models made of several networks: checks, and inputs to build them on."""

import keras

from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.modalities import modalities_of


def check_networks(argument, networks, at_least=1):
    """Raises unless `networks` is a dict of built networks.

    Args:
        argument: How the caller calls them.
        networks: A dict `{name: network}`.
        at_least: How many there must be.
    """
    if not isinstance(networks, dict) or len(networks) < at_least:
        found = networks
        if isinstance(networks, dict):
            found = sorted(networks)
        raise ValueError(
            f"`{argument}` must be a dict `{{modality: network}}` of at least "
            f"{at_least}. Received: {found}"
        )
    for name, network in networks.items():
        if not isinstance(network, keras.layers.Layer) or not network.built:
            raise ValueError(
                f"`{argument}` must hold built Keras networks. Give each a "
                "`keras.Input`, or call it once on a batch of data. "
                f"Received for '{name}': {network}"
            )


def track(model, networks):
    """Makes each network an attribute of `model`, beside its dict.

    In a dict Keras tracks variables by path alone on PyTorch, and loses one of
    two networks whose layers have the same names when it exports.
    """
    for index, network in enumerate(networks.values()):
        setattr(model, f"network_{index}", network)


def symbolic_inputs(networks):
    """A dict `{modality: symbolic tensor}` of all that the networks read."""
    inputs = {}
    for network in networks:
        if output_structure(network) is not None:
            tensors = input_structure(network)
        else:  # Subclassed: it remembers the shapes it was built on.
            shapes = next(iter((network.get_build_config() or {}).values()))
            tensors = _inputs_like(shapes)
        if not isinstance(tensors, dict):
            names = modalities_of(network)
            tensors = dict(zip(names, keras.tree.flatten(tensors), strict=True))
        inputs.update(tensors)
    return inputs


def _inputs_like(shapes):
    if isinstance(shapes, dict):
        return {name: _inputs_like(shape) for name, shape in shapes.items()}
    return keras.Input(tuple(shapes)[1:])
