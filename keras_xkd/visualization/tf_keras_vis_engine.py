"""Gradients by tf-keras-vis, on TensorFlow, for networks that it can read."""

import keras
import numpy as np

from keras_xkd.utils.graph import calls_of
from keras_xkd.utils.graph import output_structure

ENGINES = (None, "keras_xkd", "tf-keras-vis")


def check_engine(engine):
    """Raises for an engine that does not exist, or cannot be used here."""
    if engine not in ENGINES:
        raise ValueError(
            f"`engine` must be one of {ENGINES}. Received: engine={engine!r}"
        )
    if engine == "tf-keras-vis":
        backend = keras.backend.backend()
        if backend != "tensorflow":
            _refuse(f"the backend is '{backend}', not 'tensorflow'")
        _check_installed()


def is_chosen(engine, subject, layer=None):
    """Whether tf-keras-vis does the work.

    Args:
        engine: What the user asked for: its name, our own, or None.
        subject: The `Subject`.
        layer: The layer of a Grad-CAM, if it is one.
    """
    if engine == "keras_xkd" or keras.backend.backend() != "tensorflow":
        return False
    reason = _why_not(subject, layer)
    if engine is not None and reason is not None:
        _refuse(reason)
    return reason is None and (engine is not None or _is_installed())


def _refuse(reason):
    raise ValueError(
        f"tf-keras-vis cannot be used: {reason}. Leave out `engine`, or use "
        'engine="keras_xkd". Received: engine="tf-keras-vis"'
    )


def absolute_gradient(subject, x):
    """The absolute gradient with respect to the modality, with channels."""
    from tf_keras_vis.saliency import Saliency

    inputs = _flat(subject.inputs_with(x))
    found = Saliency(_view(subject.network))(
        subject.of_target,
        inputs,
        keepdims=True,
        normalize_map=False,
        unconnected_gradients="zero",
    )
    return np.asarray(found[_index(inputs, x)])


def cam(subject, layer):
    """The Grad-CAM at a layer, over the positions of that layer."""
    from tf_keras_vis.gradcam import Gradcam

    found = Gradcam(_view(subject.network))(
        subject.of_target,
        _flat(subject.inputs_with(subject.x)),
        penultimate_layer=layer,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
        unconnected_gradients="zero",
    )
    return np.asarray(found)


def _flat(inputs):
    return keras.tree.flatten(inputs)


def _index(tensors, x):
    return next(i for i, tensor in enumerate(tensors) if tensor is x)


def _view(network):
    """The same graph as a model that reads a list of tensors."""
    return keras.Model(network.inputs, network.outputs)


def _why_not(subject, layer):
    """Why tf-keras-vis cannot read a network, or None."""
    network = subject.network
    name = f"'{network.name}'"
    if output_structure(network) is None:
        return f"{name} is neither a Functional nor a Sequential model"
    view = _view(network)
    if type(network) not in (keras.Sequential, type(view)):
        return f"{name}, of type {type(network).__name__}, is subclassed"
    if not isinstance(output_structure(network), keras.KerasTensor):
        return f"{name} returns several tensors or a dict"
    if len(network.outputs[0].shape) != 2:
        return f"the output of {name} is not of shape `(batch, outputs)`"
    floating = [keras.backend.is_float_dtype(x.dtype) for x in network.inputs]
    if not all(floating):
        return f"{name} has inputs that are not floating-point numbers"
    if layer is not None:
        nodes = calls_of(view, layer)
        if not nodes:
            return f"the layer '{layer.name}' is not in the graph of {name}"
        if len(nodes) > 1 or layer.output is not nodes[0].output_tensors[0]:
            return f"the layer '{layer.name}' is called in several graphs"
    return None


def _is_installed():
    try:
        _check_installed()
    except ImportError:
        return False
    return True


def _check_installed():
    try:
        import tf_keras_vis.gradcam
        import tf_keras_vis.saliency  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "tf-keras-vis is not installed, or does not work with what is. "
            'Install the extra `viz`: `pip install "keras-xkd[viz]"`, or use '
            'engine="keras_xkd".',
            name="tf_keras_vis",
        ) from error
