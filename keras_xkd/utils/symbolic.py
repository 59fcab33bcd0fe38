"""Models made of several networks: checks, and inputs to build them on."""

from typing import Any

import keras

from keras_xkd.typing import PathLike
from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.made_of_parts import MadeOfParts
from keras_xkd.utils.modalities import RESERVED
from keras_xkd.utils.modalities import known_modalities
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import optional_of


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
        _check_built(f"{argument}[{name!r}]", network)


def check_roles(roles, whole=None):
    """Raises unless each role, a dict `{role: network}`, is built.

    The role `whole` must read what the others read.
    """
    for role, network in roles.items():
        _check_built(role, network)
    reads = {role: set(known_modalities(n)) for role, n in roles.items()}
    if whole is not None and reads[whole]:
        lacks = set().union(*reads.values()) - reads[whole]
        lacks -= {*optional_of(roles[whole]), *RESERVED}
        if lacks:
            raise ValueError(
                f"The {whole} '{roles[whole].name}' must read the modalities "
                f"of all networks. Received: it reads {sorted(reads[whole])}, "
                f"and not {sorted(lacks)}"
            )


def _check_built(argument, network):
    if not isinstance(network, keras.layers.Layer) or not network.built:
        raise ValueError(
            f"`{argument}` must be one built Keras network. Give it a "
            "`keras.Input`, or call it once on a batch of data. "
            f"Received: {argument}={network!r}"
        )


class TypedExport(MadeOfParts):
    """A mixin of models that hold a dict of networks, named by `parts`.

    It exports them with the types of their inputs. Of a subclassed model Keras
    knows the shapes alone, and would take token ids for floating numbers. With
    `bare`, the only input there is comes as a tensor, not as a dict.
    """

    bare = False

    def export(
        self,
        filepath: PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        if input_signature is None:
            networks = getattr(self, self.parts).values()
            specs = _specs(symbolic_inputs(networks))
            if self.bare and len(specs) == 1:
                (specs,) = specs.values()
            input_signature = [specs]
        super().export(filepath, format, verbose, input_signature, **kwargs)


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


def _specs(inputs, *path):
    """The same with an `InputSpec` in the place of each tensor."""
    if isinstance(inputs, dict):
        return {key: _specs(v, *path, key) for key, v in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [_specs(v, *path, str(i)) for i, v in enumerate(inputs)]
    shape = (None, *inputs.shape[1:])
    return keras.InputSpec(inputs.dtype, shape, name="_".join(path))


def _inputs_like(shapes):
    if isinstance(shapes, dict):
        return {name: _inputs_like(shape) for name, shape in shapes.items()}
    return keras.Input(tuple(shapes)[1:])
