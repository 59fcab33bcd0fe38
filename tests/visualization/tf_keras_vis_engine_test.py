import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.visualization import grad_cam
from keras_xkd.visualization import saliency
from tests.visualization import networks
from tests.visualization.networks import SHAPES

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
TARGET = [2, 0, 1]
ENGINES = ("keras_xkd", "tf-keras-vis")


def their_saliency(network, x, channels):
    """By the public names of tf-keras-vis alone."""
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    found = Saliency(keras.Model(network.inputs, network.outputs))(
        CategoricalScore(TARGET), [x], keepdims=not channels
    )
    return np.asarray(found[0])


def their_cam(network, x, layer):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    found = Gradcam(keras.Model(network.inputs, network.outputs))(
        CategoricalScore(TARGET), [x], penultimate_layer=layer
    )
    return np.asarray(found[0])


def sequential(name):
    """`deep` as a Sequential model."""
    network = networks.deep(name)
    copies = [type(n).from_config(n.get_config()) for n in network.layers]
    copy = keras.Sequential(copies)
    copy.set_weights(network.get_weights())
    return copy


@pytest.mark.parametrize("make", [networks.deep, sequential])
@pytest.mark.parametrize("name", SHAPES)
def test_same_maps(make, name):
    network, x = make(name), networks.data(name)[name]
    if not ON_TENSORFLOW:
        with pytest.raises(ValueError, match="the backend is"):
            saliency(network, x, engine="tf-keras-vis")
        with pytest.raises(ValueError, match="the backend is"):
            grad_cam(network, x, engine="tf-keras-vis")
        return
    expected = their_saliency(network, x, channels=name != "audio")
    for engine in ENGINES:
        found = saliency(network, x, TARGET, engine=engine)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for layer in ("first", "last"):
        expected = their_cam(network, x, layer)
        assert expected.std() > 0.01
        for engine in ENGINES:
            found = grad_cam(network, x, layer, TARGET, engine=engine)
            if name == "audio":  # One value for a frame.
                np.testing.assert_array_equal(found, found[..., :1] + 0 * found)
                found = found[..., 0]
            np.testing.assert_allclose(found, expected, atol=1e-5)


def two_inputs():
    inputs = {
        name: keras.Input(SHAPES[name], name=name)
        for name in ("video", "audio")
    }
    sound = layers.Conv1D(3, 2, activation="tanh", name="sound")
    sight = layers.Conv3D(3, 2, activation="tanh", name="sight")
    flat = [
        layers.Flatten()(sound(inputs["audio"])),
        layers.Flatten()(sight(inputs["video"])),
    ]
    outputs = layers.Dense(3)(layers.Concatenate()(flat))
    return networks.fill(keras.Model(inputs, outputs))


def test_one_of_two_modalities():
    network, x = two_inputs(), networks.data("audio", "video")
    options = {"target": TARGET, "modality": "audio"}
    if not ON_TENSORFLOW:
        with pytest.raises(ValueError, match="the backend is"):
            saliency(network, x, engine="tf-keras-vis", **options)
        return
    for name, layer in (("audio", "sound"), ("video", "sight")):
        options["modality"] = name
        one, other = (
            saliency(network, x, samples=2, engine=engine, **options)
            for engine in ENGINES
        )
        assert one.shape == (3, *SHAPES[name][: 2 if name == "audio" else 3])
        np.testing.assert_allclose(one, other, atol=1e-5)
        one, other = (
            grad_cam(network, x, engine=engine, **options) for engine in ENGINES
        )
        np.testing.assert_allclose(one, other, atol=1e-5)
        named = grad_cam(network, x, layer, **options)
        np.testing.assert_allclose(one, named, atol=1e-5)


def test_chosen_where_it_can_be_used(monkeypatch):
    calls = []
    if ON_TENSORFLOW:
        from tf_keras_vis.saliency import Saliency

        own = Saliency.__call__

        def spy(*args, **kwargs):
            calls.append(args)
            return own(*args, **kwargs)

        monkeypatch.setattr(Saliency, "__call__", spy)
    network, x = networks.convolving("audio"), networks.data("audio")
    saliency(network, x)
    assert len(calls) == ON_TENSORFLOW
    saliency(network, x, engine="keras_xkd")
    saliency(keras.Model(network.input, {"logits": network.output}), x)
    assert len(calls) == ON_TENSORFLOW


class Subclassed(keras.Model):
    def call(self, x):
        return x[:, :, 0]


class OwnCall(keras.Model):
    """Functional, but what it computes is not what its graph shows."""

    def call(self, x):
        return 2 * super().call(x)


def cannot():
    inner = networks.convolving("audio")
    inputs = keras.Input(SHAPES["audio"], name="audio")
    ids = keras.Input((2,), dtype="int32", name="text")
    words = layers.Flatten()(layers.Embedding(9, 3)(ids))
    sound = layers.Flatten()(inputs)
    return {
        "neither a Functional nor": Subclassed(),
        "is subclassed": OwnCall(inner.input, inner.output),
        "returns several tensors or a dict": keras.Model(
            inner.input, {"logits": inner.output}
        ),
        "not of shape `\\(batch, outputs\\)`": keras.Model(
            inputs, layers.Reshape(())(layers.Dense(1)(sound))
        ),
        "not floating-point": keras.Model(
            {"audio": inputs, "text": ids}, layers.Concatenate()([sound, words])
        ),
    }


def test_networks_that_it_cannot_read():
    x = {**networks.data("audio"), "text": np.ones((3, 2), "int32")}
    for message, network in cannot().items():
        message = message if ON_TENSORFLOW else "the backend is"
        given = x if len(getattr(network, "inputs", [0])) == 2 else x["audio"]
        if ON_TENSORFLOW:
            assert saliency(network, given).shape == (3, 7, 4)
        with pytest.raises(ValueError, match=message):
            saliency(network, given, engine="tf-keras-vis")


def test_layers_that_it_cannot_reach():
    inner = networks.convolving("audio")
    inputs = keras.Input(SHAPES["audio"], name="audio")
    network, x = keras.Model(inputs, inner(inputs)), networks.data("audio")
    found = grad_cam(network, x)
    np.testing.assert_allclose(found, grad_cam(inner, x), atol=1e-5)
    shared = keras.Sequential(inner.layers)
    np.testing.assert_allclose(found, grad_cam(shared, x), atol=1e-5)
    cases = {"not in the graph": network, "several graphs": shared}
    for message, network in cases.items():
        message = message if ON_TENSORFLOW else "the backend is"
        with pytest.raises(ValueError, match=message):
            grad_cam(network, x, "conv", engine="tf-keras-vis")


def test_not_installed(monkeypatch):
    for name in ("tf_keras_vis", "tf_keras_vis.gradcam"):
        monkeypatch.setitem(sys.modules, name, None)
    network, x = networks.linear("audio"), networks.data("audio")
    own = saliency(network, x, engine="keras_xkd")
    np.testing.assert_array_equal(saliency(network, x), own)
    error = ImportError if ON_TENSORFLOW else ValueError
    with pytest.raises(error, match='engine="keras_xkd"'):
        saliency(network, x, engine="tf-keras-vis")
