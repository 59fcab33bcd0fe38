"""What a uni-modal teacher and an encoder have in common."""

import keras

from keras_xkd.utils.graph import input_structure
from keras_xkd.utils.modalities import RESERVED
from keras_xkd.utils.modalities import modalities_of


def check_teacher(distiller, name, teacher):
    """Raises unless an encoder of the student can imitate a teacher.

    Args:
        distiller: The `UMT`.
        name: Name of the teacher, that of its encoder.
        teacher: The teacher.

    Returns:
        The shapes of the teacher's and the encoder's features, None where it
        is not known.
    """
    encoders = distiller.student.encoders
    if name not in encoders:
        raise ValueError(
            f"There is a teacher of '{name}', but no such encoder. Expected: "
            f"some of {sorted(encoders)}. Received: "
            f"{sorted(distiller.teachers)}"
        )
    own = sorted(modalities_of(encoders[name]))
    read = sorted(modalities_of(teacher))
    if set(read) - {*own, *RESERVED}:
        raise ValueError(
            f"The teacher of '{name}' must read what its encoder reads, {own}. "
            f"Received: '{teacher.name}', which reads {read}"
        )
    distiller.readout.require(teacher, "features")
    shape = distiller.readout.shape(teacher, "features")
    width = distiller.student.widths[name]
    if shape is not None and (len(shape) != 2 or shape[-1] != width):
        raise ValueError(
            f"The encoder of '{name}', '{encoders[name].name}', has {width} "
            f"features, and its teacher '{teacher.name}' must have as many "
            f"before its head. Received: shape {shape}. Give the encoder a "
            "last layer of that width."
        )
    return shape, (None, width)


def copy_features(readout, source, target):
    """Gives `target` the weights by which `source` makes its features.

    Args:
        readout: The `Outputs` that find the features of `source`.
        source: A classifier.
        target: An encoder of the same structure as its part before the head.

    Raises:
        ValueError: If there is no graph to read, or the weights differ.
    """
    outputs = readout.symbolic(source)
    if outputs is None:
        raise ValueError(
            "A warm start reads the graph of a Functional or Sequential "
            f"network. Received: '{source.name}' of type "
            f"{type(source).__name__}. Copy the weights yourself."
        )
    part = keras.Model(input_structure(source), outputs["features"])
    found, wanted = _describe(part), _describe(target)
    if found != wanted:
        raise ValueError(
            f"For a warm start '{target.name}' must have the structure of "
            f"'{source.name}' before its head. Expected the weights {found}. "
            f"Received: {wanted}"
        )
    target.set_weights(part.get_weights())


def _describe(network):
    return [(v.name, tuple(v.shape)) for v in network.weights]


def check_features_loss(loss):
    """Raises unless a loss of `UMT` compares features."""
    if loss.output != "features":
        raise ValueError(
            "UMT compares the features of an encoder with its teacher's. "
            f"Received: {type(loss).__name__}, which compares '{loss.output}'"
        )
