"""What networks return, under the names that the losses use."""

import keras

from keras_xkd.utils.graph import features_before_head
from keras_xkd.utils.graph import inferred_outputs
from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.graph import squashing_of


class Outputs:
    """Runs networks so that their outputs come as a dict of named tensors.

    A network is never rewrapped: where a loss needs the features of a plain
    classifier, a second model that shares its layers reads them in the same
    forward pass.
    """

    def __init__(self):
        self._views = {}

    def view(self, network):
        """The model that runs in the place of a network, or the network."""
        return self._views.get(id(network), network)

    def run(self, network, inputs, training):
        outputs = self.view(network)(inputs, training=training)
        _check_kind(network, outputs)
        return outputs if isinstance(outputs, dict) else {"logits": outputs}

    def require(self, network, name):
        """Makes `run` return the output `name`, or raises and says why not."""
        found = self.symbolic(network) or inferred_outputs(network)
        if not found or name in found:
            return
        structure = output_structure(network)
        if name != "features" or not isinstance(structure, keras.KerasTensor):
            tap = "" if structure is None else ", or use `keras_xkd.models.tap`"
            raise ValueError(
                f"'{name}' of '{network.name}' are needed, but it returns "
                f"{sorted(found)}. Let it return a dict with the key "
                f"'{name}'{tap}."
            )
        self._views[id(network)] = keras.Model(
            input_structure(network),
            {"logits": structure, "features": features_before_head(network)},
            name=network.name,
        )
        # From now on the view runs in its place, but Keras exports only a
        # model that was called itself.
        network(input_structure(network))

    def symbolic(self, network):
        """The named symbolic outputs, None when they are not known."""
        structure = output_structure(self.view(network))
        _check_kind(network, structure)
        if isinstance(structure, keras.KerasTensor):
            return {"logits": structure}
        return structure if isinstance(structure, dict) else None

    def shape(self, network, name):
        """The static shape of an output, None when it is not known."""
        outputs = self.symbolic(network) or inferred_outputs(network)
        tensor = outputs.get(name)
        return None if tensor is None else tuple(tensor.shape)

    def features_shape(self, network):
        """The shape of the features if they can be found, else None."""
        try:
            structure = output_structure(network)
            if isinstance(structure, keras.KerasTensor):
                return tuple(features_before_head(network).shape)
        except ValueError:
            return None
        return self.shape(network, "features")

    def check_logits(self, network, name="logits"):
        """Raises if what should be logits went through a softmax."""
        tensor = (self.symbolic(network) or {}).get(name)
        squashing = squashing_of(tensor)
        if squashing:
            raise ValueError(
                f"'{network.name}' ends in a {squashing}, but its output is "
                "read as logits here. Remove the activation: the losses and "
                "metrics of this package apply it themselves."
            )


def _check_kind(network, outputs):
    if isinstance(outputs, (list, tuple)):
        raise ValueError(
            f"'{network.name}' returns {len(outputs)} tensors without names. "
            "Let it return one tensor, its logits, or a dict such as "
            '`{"logits": ..., "features": ...}`.'
        )


def prediction(outputs):
    """What metrics and the loss of the task read: logits, else the score."""
    for name in ("logits", "score"):
        if name in outputs:
            return outputs[name]
    raise ValueError(
        "The loss of the task and the metrics read 'logits' or 'score'. The "
        f"network returns {sorted(outputs)}"
    )


def get_output(outputs, name, role):
    """One entry of a network's outputs."""
    if name not in outputs:
        raise ValueError(
            f"A loss compares '{name}', but the {role} returns "
            f"{sorted(outputs)}."
        )
    return outputs[name]


def features_width(network):
    """The width of a network's features; raises if it cannot be known."""
    readout = Outputs()
    shape = readout.features_shape(network)
    if shape is None:
        readout.require(network, "features")  # Says what is wrong.
        raise ValueError(
            f"The width of the features of '{network.name}' is not known. "
            "Call it once on a batch of data, or use a Functional model."
        )
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(
            "Features must have the shape `(batch, width)`; pool other axes "
            f"first. Received: '{network.name}' with features of shape {shape}"
        )
    return shape[-1]
