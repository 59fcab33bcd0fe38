"""What all perturbations have in common."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_xkd.layers import ModalityDropout
from keras_xkd.layers import ScaledGaussianNoise
from keras_xkd.layers import SpecAugment
from keras_xkd.layers import TokenDropout
from keras_xkd.layers.perturbation import Perturbation
from tests.test_case import to_numpy

RNG = np.random.default_rng(0)
FRAMES = RNG.normal(size=(16, 12, 10)).astype("float32")
TOKENS = RNG.integers(5, 50, (16, 9)).astype("int32")
EACH = [
    (ScaledGaussianNoise, dict(scale=0.5), FRAMES),
    (SpecAugment, dict(time_share=0.5, frequency_width=4), FRAMES),
    (TokenDropout, dict(rate=0.5, mask_id=4, special_ids=(5,)), TOKENS),
    (ModalityDropout, dict(rate=0.5), {"audio": FRAMES, "text": TOKENS}),
]


def values(inputs):
    return [
        v if isinstance(v, np.ndarray) else to_numpy(v)
        for v in keras.tree.flatten(inputs)
    ]


def equal(one, two):
    pairs = zip(values(one), values(two), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("kind", "arguments", "inputs"), EACH)
def test_every_perturbation(kind, arguments, inputs):
    layer = kind(**arguments, seed=3)
    assert equal(layer(inputs), inputs)
    assert equal(layer(inputs, training=False), inputs)
    first, second = (layer(inputs, training=True) for _ in range(2))
    assert not equal(first, inputs) and not equal(first, second)
    for before, after in zip(values(inputs), values(first), strict=True):
        assert before.shape == after.shape and before.dtype == after.dtype
    # From JSON, with the same seed, the same numbers.
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    assert equal(again(inputs, training=True), first)

    # As a layer of a model.
    def symbolic(name, v):
        return keras.Input(v.shape[1:], dtype=v.dtype.name, name=name)

    if isinstance(inputs, dict):
        shapes = {name: symbolic(name, v) for name, v in inputs.items()}
    else:
        shapes = symbolic("inputs", inputs)
    model = keras.Model(shapes, kind(**arguments)(shapes))
    assert equal(model(inputs), inputs)
    assert not equal(model(inputs, training=True), inputs)


@pytest.mark.parametrize(("kind", "arguments", "inputs"), EACH)
def test_inputs_are_cast_under_mixed_precision(kind, arguments, inputs):
    layer = kind(**arguments, dtype="mixed_float16")
    for after in values(layer(inputs, training=True)):
        assert after.dtype in (np.float16, np.int32)
        assert np.all(np.isfinite(after.astype("float32")))


def test_a_subclass_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match="must define `perturb`"):
        Perturbation()(ops.ones((1,)), training=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScaledGaussianNoise(-1.0), "`scale` must not be negative"),
        (lambda: SpecAugment(time_share=2.0), "`time_share` must lie"),
        (lambda: SpecAugment(time_masks=-1), "`time_masks` must not"),
        (lambda: SpecAugment(frequency_width=-1), "`frequency_width` must"),
        (lambda: SpecAugment(value="median"), "'mean' or a number"),
        (lambda: TokenDropout(1.5, mask_id=1), "`rate` must lie"),
        (lambda: ModalityDropout({"audio": -0.1}), "`rate` must lie"),
        (lambda: ScaledGaussianNoise()(TOKENS, training=True), "int32"),
        (
            lambda: ScaledGaussianNoise()({"audio": FRAMES}, training=True),
            r"expects a tensor \(joint=False\)",
        ),
        (lambda: SpecAugment()(FRAMES[0], training=True), r"\(12, 10\)"),
        (lambda: TokenDropout(mask_id=1)(FRAMES, training=True), "float32"),
        (lambda: ModalityDropout()(FRAMES, training=True), "expects a dict"),
        (
            lambda: ModalityDropout({"video": 0.5})(
                {"audio": FRAMES}, training=True
            ),
            r"\['video'\]",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
