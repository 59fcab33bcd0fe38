import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.models import LateFusion
from keras_xkd.models import video_encoder
from keras_xkd.visualization import grad_cam
from tests.test_case import assert_golden
from tests.visualization import networks
from tests.visualization.networks import SHAPES
from tests.visualization.networks import by_corners
from tests.visualization.networks import known_cam
from tests.visualization.networks import to_unit

# Positions of the layer are spread over these axes of the item.
ITEMS = {"image": (6, 5), "audio": (7,), "video": (4, 5, 3)}
TARGET = np.array([2, 0, 1])


def spread(cams, name):
    """The maps by loops: each frame of sound has one value for all bands."""
    maps = np.stack([by_corners(cam, ITEMS[name]) for cam in cams])
    if name == "audio":
        maps = np.repeat(maps[..., None], SHAPES[name][1], axis=-1)
    return to_unit(maps)


@pytest.mark.parametrize(
    ("name", "strides"), [("image", 1), ("audio", 2), ("video", 2)]
)
def test_known_weights(name, strides):
    network = networks.convolving(name, strides=strides)
    x = networks.data(name)
    cams = known_cam(network, x[name], TARGET)
    assert (cams > 0).any(axis=tuple(range(1, cams.ndim))).all()
    found = grad_cam(network, x, target=TARGET)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, spread(cams, name), atol=1e-5)
    by_object = network.get_layer("conv")
    for layer in ("conv", by_object.path, by_object):
        same = grad_cam(network, x[name], layer, TARGET)
        np.testing.assert_array_equal(same, found)


def test_gradient_by_finite_differences():
    """At a layer with more layers behind it, one channel at a time."""
    network, x = networks.deep("audio"), networks.data("audio")["audio"]
    first = network.get_layer("first")
    front = keras.Model(network.input, first.output)
    rest, y = keras.Input(first.output.shape[1:]), None
    y = rest
    for layer in network.layers[2:]:
        y = layer(y)
    rest = keras.Model(rest, y)
    values, step = front.predict_on_batch(x).astype("float64"), 1e-3
    slopes = []
    for channel in range(values.shape[-1]):
        # All positions together: the sum of the gradient over them.
        moved = np.zeros(values.shape[-1])
        moved[channel] = step
        above, below = (
            rest.predict_on_batch((values + m).astype("float32"))[:, 1]
            for m in (moved, -moved)
        )
        slopes.append((above - below) / (2 * step) / values.shape[1])
    weights = np.stack(slopes, axis=-1)[:, None]
    cams = np.maximum((values * weights).sum(-1), 0)
    found = grad_cam(network, x, "first", 1)
    np.testing.assert_allclose(found, spread(cams, "audio"), atol=1e-2)


def nested(kind):
    """`convolving` within a Functional, a Sequential, a subclassed model."""
    inner = networks.convolving("image")
    if kind == "functional":
        inputs = keras.Input(SHAPES["image"], name="image")
        return inner, keras.Model(inputs, inner(inputs * 1.0))
    if kind == "sequential":
        stack = [keras.Input(SHAPES["image"], name="image"), inner]
        return inner, keras.Sequential(stack)
    return inner, Subclassed(inner)


class Subclassed(keras.Model):
    modalities = "image"

    def __init__(self, inner):
        super().__init__()
        self.parts = [{"inner": inner}]

    def call(self, x, training=None):
        return {"logits": self.parts[0]["inner"](x["image"]), "features": None}


@pytest.mark.parametrize("kind", ["functional", "sequential", "subclassed"])
def test_within_other_networks(kind):
    inner, network = nested(kind)
    x = networks.data("image")
    expected = grad_cam(inner, x, target=TARGET)
    for layer in (None, "conv", inner.get_layer("conv")):
        found = grad_cam(network, x, layer, TARGET)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert "call" not in vars(inner.get_layer("conv"))


def test_layer_of_the_modality():
    """The last layer of all may be that of another modality."""
    audio, image = (networks.convolving(n) for n in ("audio", "image"))
    network = LateFusion({"audio": audio, "image": image}, units=2)
    network.head.set_weights([np.eye(6, 2) + np.eye(6, 2, k=-3), np.zeros(2)])
    x = {**networks.data("audio", "image"), "present": {"audio": np.ones(3)}}
    for name, part in (("audio", audio), ("image", image)):
        found = grad_cam(network, x, None, 1, modality=name)
        np.testing.assert_allclose(
            found, grad_cam(part, x, target=1), atol=1e-5
        )
    with pytest.raises(ValueError, match="of which"):
        grad_cam(network, x)


def test_distiller_means_its_student():
    student, teacher = (networks.convolving(n) for n in ("audio", "image"))
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    x = networks.data("audio", "image")
    np.testing.assert_array_equal(
        grad_cam(distiller, x, target=1), grad_cam(student, x, target=1)
    )


def frame_network():
    inputs = keras.Input((5, 3, 2))
    x = layers.Conv2D(4, 2, padding="same", activation="tanh")(inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("kind", ["encoder", "time distributed"])
def test_frames_one_by_one(kind):
    """The mean over frames of a mean over pixels is that over both."""
    per_frame = frame_network()
    video = keras.Input(SHAPES["video"], name="video")
    if kind == "encoder":
        features = video_encoder(per_frame)({"video": video})["features"]
    else:
        features = layers.TimeDistributed(per_frame)(video)
        features = layers.GlobalAveragePooling1D()(features)
    head = layers.Dense(3, name="head")
    network = networks.fill(keras.Model(video, head(features)))
    x = networks.data("video")["video"]
    tap = keras.Model(per_frame.input, per_frame.layers[1].output)
    values = tap.predict_on_batch(x.reshape(-1, *x.shape[2:]))
    kernel = head.get_weights()[0][:, TARGET].T[:, None, None, None]
    values = values.reshape(*x.shape[:-1], 4)
    cams = np.maximum((values * kernel).sum(-1), 0)
    found = grad_cam(network, x, target=TARGET)
    np.testing.assert_allclose(found, to_unit(cams), atol=1e-5)


def test_tokens():
    """A class token and 3 x 2 patches in rows."""
    rng = np.random.default_rng(0)
    inputs = keras.Input(SHAPES["image"], name="image")
    flat = layers.Reshape((90,))(inputs)
    tokens = layers.Reshape((7, 4), name="tokens")(layers.Dense(28)(flat))
    outputs = layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens))
    network = networks.fill(keras.Model(inputs, outputs))
    x = rng.normal(size=(3, 6, 5, 3)).astype("float32")
    values = keras.Model(inputs, tokens).predict_on_batch(x)
    kernel = network.get_weights()[2][:, TARGET].T[:, None]
    cams = np.maximum((values * kernel).sum(-1), 0)[:, 1:].reshape(3, 3, 2)
    found = grad_cam(network, x, "tokens", TARGET, grid=(3, 2))
    np.testing.assert_allclose(found, spread(cams, "image"), atol=1e-5)
    with pytest.raises(ValueError, match=r"`grid=\(h, w\)`"):
        grad_cam(network, x)
    with pytest.raises(ValueError, match=r"returns the shape \(3, 7, 4\)"):
        grad_cam(network, x, "tokens", grid=(3, 3))


def test_pixels_of_all_frames_and_bands_of_a_waveform():
    x = networks.data("video")["video"]
    inputs = keras.Input(SHAPES["video"], name="video")
    y = layers.Conv2D(4, 2, padding="same", name="conv")(
        layers.Lambda(lambda x: x[:, 0])(inputs)
    )
    y = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(y))
    network = networks.fill(keras.Model(inputs, y))
    (cams,) = [known_cam(network, x, TARGET)]
    expected = np.repeat(to_unit(cams)[:, None], 4, axis=1)
    found = grad_cam(network, x, target=TARGET)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    wave = x.reshape(3, -1)[:, :24]
    inputs = keras.Input((24,), name="audio")
    y = layers.Conv2D(4, 2, name="conv")(layers.Reshape((6, 4, 1))(inputs))
    y = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(y))
    network = networks.fill(keras.Model(inputs, y))
    cams = known_cam(network, wave, TARGET).mean(-1)
    expected = to_unit(np.stack([by_corners(cam, (24,)) for cam in cams]))
    found = grad_cam(network, wave, target=TARGET)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_golden():
    network, x = networks.deep("audio"), networks.data("audio")
    found = grad_cam(network, x, "first", 2)
    assert_golden("grad_cam", found[1], rtol=1e-3, atol=1e-5)


def test_a_layer_that_speaks_against_the_output():
    network, x = networks.convolving("audio"), networks.data("audio")
    conv, head = network.get_layer("conv"), network.get_layer("head")
    conv.set_weights([0 * w + 1 for w in conv.get_weights()])
    head.set_weights([-np.ones((4, 3)), np.zeros(3)])
    x = {"audio": np.abs(x["audio"])}
    np.testing.assert_array_equal(grad_cam(network, x), np.zeros((3, 7, 4)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("cnov", "`layer` must be one layer of 'audio_network'"),
        (layers.Dense(3), "`layer` must be one layer of 'audio_network'"),
        ("head", "returns no tensor of shape"),
    ],
)
def test_bad_layers(layer, message):
    network, x = networks.convolving("audio"), networks.data("audio")
    with pytest.raises(ValueError, match=message):
        grad_cam(network, x, layer)


def test_networks_without_such_a_layer():
    with pytest.raises(ValueError, match="or use `saliency`"):
        grad_cam(networks.linear("image"), networks.data("image"))
    shared = layers.Conv1D(4, 2, padding="same", name="shared")
    inputs = keras.Input(SHAPES["audio"], name="audio")
    x = layers.GlobalAveragePooling1D()(shared(shared(inputs)))
    network = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ValueError, match="is called 2 times"):
        grad_cam(network, networks.data("audio"), "shared")
    same = [layers.Conv1D(3, 1), layers.Conv1D(3, 1)]
    inner = [keras.Sequential([keras.Input((7, 4)), c]) for c in same]
    x = layers.GlobalAveragePooling1D()(inner[0](inputs) + inner[1](inputs))
    network = keras.Model(inputs, x)
    same[0].name = same[1].name = "conv"
    with pytest.raises(ValueError, match="where several have the same"):
        grad_cam(network, networks.data("audio"), "conv")


def test_an_activation_that_is_shared():
    # Once behind the convolution, and once where there are no positions.
    relu = layers.ReLU()
    inputs = keras.Input((6, 5, 2), name="image")
    x = relu(layers.Conv2D(3, 3, padding="same", name="conv")(inputs))
    x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, layers.Dense(3)(relu(layers.Dense(4)(x))))
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    found = grad_cam(network, x, target=1)
    assert found.shape == (2, 6, 5) and np.isfinite(found).all()
    alone = grad_cam(network, x[:1], target=1)
    np.testing.assert_allclose(found[:1], alone, atol=1e-5)
    # The same network with two activations of its own.
    x_in = keras.Input((6, 5, 2), name="image")
    h = layers.ReLU(name="first")(network.get_layer("conv")(x_in))
    h = layers.GlobalAveragePooling2D()(h)
    h = layers.ReLU()(network.layers[-2 - (network.layers[-2] is relu)](h))
    twin = keras.Model(x_in, network.layers[-1](h))
    np.testing.assert_allclose(
        found, grad_cam(twin, x, layer="first", target=1), atol=1e-5
    )


def test_channels_first_is_refused():
    # Its layers behind the convolution do not say where channels are.
    inputs = keras.Input((2, 6, 5), name="image")
    kwargs = {"data_format": "channels_first"}
    x = layers.GlobalAveragePooling2D(**kwargs)(layers.ReLU()(inputs))
    network = keras.Model(inputs, layers.Dense(3)(x))
    with pytest.raises(ValueError, match="needs channels last"):
        grad_cam(network, np.ones((1, 2, 6, 5), "float32"))
