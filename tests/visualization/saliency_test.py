import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.models import LateFusion
from keras_xkd.visualization import saliency
from tests.test_case import assert_golden
from tests.test_case import to_numpy
from tests.visualization import networks
from tests.visualization.networks import SHAPES
from tests.visualization.networks import to_unit


def of_weights(network, targets, shape, channels):
    """The maps of a linear network: the absolute weights of the target."""
    kernel = np.abs(network.get_weights()[0])
    maps = np.stack([kernel[:, t].reshape(shape) for t in targets])
    return to_unit(maps.max(-1) if channels else maps)


@pytest.mark.parametrize("name", SHAPES)
def test_linear_network(name):
    network, x = networks.linear(name), networks.data(name)
    targets = np.array([2, 0, 3])
    found = saliency(network, x, targets)
    channels = name != "audio"
    expected = of_weights(network, targets, SHAPES[name], channels)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    # One index for all, and the bare array that the network reads.
    found = saliency(network, x[name], 1)
    expected = of_weights(network, [1] * 3, SHAPES[name], channels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_predicted_class_is_the_default():
    network, x = networks.linear("audio"), networks.data("audio")
    predicted = network.predict_on_batch(x["audio"]).argmax(1)
    assert len(set(predicted)) > 1
    np.testing.assert_array_equal(
        saliency(network, x), saliency(network, x, predicted)
    )


def test_finite_differences():
    network, x = networks.convolving("audio"), networks.data("audio")
    sound, step = x["audio"], 1e-2
    places = list(np.ndindex(sound.shape[1:]))
    moved = np.zeros((len(places), 1, *sound.shape[1:]), "float32")
    for index, place in enumerate(places):
        moved[index, 0, *place] = step

    def logits(x):
        rows = x.reshape(-1, *sound.shape[1:])
        return network.predict_on_batch(rows)[:, 1].reshape(len(places), -1)

    slopes = (logits(sound + moved) - logits(sound - moved)) / (2 * step)
    expected = to_unit(np.abs(slopes.T).reshape(sound.shape))
    np.testing.assert_allclose(saliency(network, x, 1), expected, atol=5e-3)


class Squares(keras.Model):
    """The score is the sum of squares, `(batch,)`, under a name."""

    modalities = ("audio",)

    def call(self, x):
        x = x["audio"]
        return {"score": ops.sum(x**2, axis=(1, 2)), "features": x[:, 0]}


def test_smooth_grad():
    x = networks.data("audio")["audio"]
    found = saliency(Squares(), x, samples=3, noise=0.5, seed=4)
    rng = np.random.default_rng(4)
    spread = x.max((1, 2), keepdims=True) - x.min((1, 2), keepdims=True)
    copies = [x + 0.5 * spread * rng.standard_normal(x.shape) for _ in range(3)]
    expected = to_unit(np.mean([np.abs(2 * c) for c in copies], axis=0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    found = saliency(Squares(), {"audio": x, "text": x})
    np.testing.assert_allclose(found, to_unit(np.abs(x)), atol=1e-6)


class Cubes(keras.Model):
    def call(self, x):
        return ops.sum(x**3, axis=tuple(range(1, len(x.shape))))


def test_channels():
    # A grey video without an axis of channels, features over time, a waveform.
    grey = networks.data("video")["video"][..., 0]
    found = saliency(Cubes(), grey, channels=False)
    np.testing.assert_allclose(found, to_unit(grey**2), atol=1e-5)
    sound = networks.data("audio")["audio"]
    found = saliency(Cubes(), sound, channels=True)
    np.testing.assert_allclose(found, to_unit((sound**2).max(-1)), atol=1e-5)
    wave = sound[..., 0]
    found = saliency(Cubes(), wave)
    np.testing.assert_allclose(found, to_unit(wave**2), atol=1e-5)
    with pytest.raises(ValueError, match="must have positions"):
        saliency(Cubes(), wave, channels=True)


def two_modalities(kind):
    """A network that is linear in audio and image, and its kernels."""
    if kind == "fusion":
        encoders = {n: networks.linear(n, 2) for n in ("audio", "image")}
        network = networks.fill(LateFusion(encoders, units=4))
        head = network.head.get_weights()[0]
        audio, image = (e.get_weights()[0] for e in network.encoders.values())
        return network, {"audio": audio @ head[:2], "image": image @ head[2:]}
    inputs = {
        name: keras.Input(SHAPES[name], name=name)
        for name in ("audio", "image")
    }
    flat = [layers.Flatten()(x) for x in inputs.values()]
    outputs = layers.Dense(4)(layers.Concatenate()(flat))
    if kind == "list":
        inputs = list(inputs.values())
    network = networks.fill(keras.Model(inputs, outputs))
    kernel, size = network.get_weights()[0], np.prod(SHAPES["audio"])
    return network, {"audio": kernel[:size], "image": kernel[size:]}


@pytest.mark.parametrize("kind", ["dict", "list", "fusion"])
def test_one_of_two_modalities(kind):
    network, kernels = two_modalities(kind)
    x = networks.data("audio", "image", "video")
    if kind == "fusion":
        x["present"] = {"audio": np.ones(3)}
    for name, kernel in kernels.items():
        expected = np.abs(kernel[:, 2]).reshape(SHAPES[name])
        expected = expected.max(-1) if name == "image" else expected
        found = saliency(network, x, 2, modality=name)
        expected = to_unit(np.stack([expected] * 3))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"reads \['audio', 'image'\]"):
        saliency(network, x)
    with pytest.raises(ValueError, match="`modality` must be one of"):
        saliency(network, x, modality="video")
    with pytest.raises(ValueError, match="must lead to a tensor.*'frame'"):
        saliency(network, x, modality=("audio", "frame"))


class WithMask(keras.Model):
    """Reads a nested dict; padded frames count nothing."""

    modalities = ("audio", "text")

    def call(self, x):
        frames, mask = x["audio"]["frames"], x["audio"]["padding_mask"]
        score = ops.sum(frames**2, axis=2) * ops.cast(
            ops.reshape(mask, (-1, 7)), frames.dtype
        )
        words = ops.cast(ops.sum(x["text"]["token_ids"], axis=1), "float32")
        return {"logits": ops.stack([ops.sum(score, axis=1), words], axis=1)}


def test_nested_and_integer_inputs():
    frames = networks.data("audio")["audio"]
    mask = np.ones((3, 7), "int32")
    mask[:, 5:] = 0
    x = {
        "audio": {"frames": frames, "padding_mask": mask},
        "text": {"token_ids": np.ones((3, 2), "int32")},
    }
    expected = to_unit(np.abs(2 * frames) * mask[..., None])
    for modality in (None, "audio", ("audio", "frames")):
        found = saliency(WithMask(), x, 0, modality)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="integers such as token ids"):
        saliency(WithMask(), x, modality="text")
    with pytest.raises(ValueError, match="'audio/padding_mask': 'int32'"):
        saliency(WithMask(), x, modality=("audio", "padding_mask"))
    two = {"frames": frames, "padding_mask": np.ones((3, 7, 1), "float32")}
    with pytest.raises(ValueError, match="Name one of"):
        saliency(WithMask(), {**x, "audio": two}, modality="audio")


def test_pixels_may_be_integers_but_token_ids_not():
    network = networks.linear("image")
    pixels = np.arange(180).reshape(2, 6, 5, 3).astype("uint8")
    np.testing.assert_array_equal(
        saliency(network, pixels, 0),
        saliency(network, pixels.astype("float32"), 0),
    )
    ids = keras.Input((4,), dtype="int32", name="text")
    outputs = layers.Flatten()(layers.Embedding(9, 2)(ids))
    network = keras.Model(ids, outputs)
    with pytest.raises(ValueError, match="Only floating-point inputs"):
        saliency(network, np.ones((2, 4), "int32"))


def test_distiller_means_its_student():
    student, teacher = networks.linear("audio"), networks.linear("image")
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    x = networks.data("audio", "image")
    np.testing.assert_array_equal(
        saliency(distiller, x, 1), saliency(student, x, 1)
    )


def test_nothing_of_the_network_changes():
    network = keras.Sequential(
        [
            keras.Input(SHAPES["audio"]),  # Without a name.
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    x = networks.data("audio")["audio"]
    before = [to_numpy(v) for v in network.variables]
    first = saliency(network, x, 1, samples=2)
    for old, variable in zip(before, network.variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(variable))
    np.testing.assert_array_equal(first, saliency(network, x, 1, samples=2))


def test_a_network_that_ignores_its_input():
    network = networks.linear("audio")
    network.set_weights([0 * w for w in network.get_weights()])
    found = saliency(network, networks.data("audio"))
    np.testing.assert_array_equal(found, np.zeros((3, 7, 4)))


def test_golden():
    found = saliency(networks.deep("audio"), networks.data("audio"), 1)
    assert_golden("saliency", found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 4}, "index of the 4 outputs"),
        ({"target": -1}, "index of the 4 outputs"),
        ({"target": [0, 1]}, "one for each of the 3 samples"),
        ({"target": 0.5}, "`target` must be an index"),
        ({"samples": 0}, "`samples` must be 1 or more"),
        ({"noise": -1.0}, "`noise` must not be negative"),
        ({"engine": "captum"}, "`engine` must be one of"),
        ({"x": {"image": np.ones((1, 2))}}, "needs"),
        ({"model": "network"}, "`model` must be a Keras network"),
        ({"x": {"audio": np.full((1, 7, 4), np.nan)}}, "must be finite"),
        ({"x": {"audio": np.ones((0, 7, 4))}}, "without samples"),
    ],
)
def test_bad_arguments(change, message):
    given = {"model": networks.linear("audio"), "x": networks.data("audio")}
    with pytest.raises(ValueError, match=message):
        saliency(**{**given, **change})


def test_bad_networks():
    x = networks.data("audio")["audio"]
    with pytest.raises(ValueError, match=r"`\(batch, outputs\)`"):
        saliency(layers.Dense(3), x)
    inputs = keras.Input(SHAPES["audio"], name="audio")
    network = keras.Model(inputs, {"features": layers.Flatten()(inputs)})
    with pytest.raises(ValueError, match="'logits' or 'score'"):
        saliency(network, x)
