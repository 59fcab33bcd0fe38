"""Small networks and data, and the checks that every distiller must pass."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.utils import select_modalities
from tests.test_case import to_numpy

CLASSES = 3


def classifier(modality, width, hidden=5, dropout=0.0, batch_norm=False, **kw):
    """A classifier that reads one modality and returns logits."""
    inputs = keras.Input((width,), name=modality)
    x = layers.Dense(hidden, activation="relu", name="hidden")(inputs)
    if batch_norm:
        x = layers.BatchNormalization()(x)
    if dropout:
        # Without a seed, PyTorch draws from its global state.
        x = layers.Dropout(dropout, seed=3)(x)
    units = kw.pop("units", CLASSES)
    return keras.Model(inputs, layers.Dense(units, name="head")(x), **kw)


def make_data(samples=32, seed=0, **widths):
    """Random features by modality, and labels."""
    rng = np.random.default_rng(seed)
    widths = widths or {"audio": 4, "image": 6}
    x = {
        name: rng.normal(size=(samples, width)).astype("float32")
        for name, width in widths.items()
    }
    return x, rng.integers(0, CLASSES, samples).astype("int32")


def squares(rng, samples):
    """Masks of 8 by 8 pixels, each with a square in a random place."""
    masks = np.zeros((samples, 8, 8), "int32")
    for mask in masks:
        top, left = 2 * rng.integers(0, 3, 2)
        mask[top : top + 4, left : left + 4] = 1
    return masks


def set_weights(model, seed=0, scale=0.4):
    """Weights that do not depend on the backend."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(size=variable.shape) * scale
        if "variance" in variable.path:
            values = np.abs(values) + 0.5
        variable.assign(values.astype("float32"))


def snapshot(model):
    return [np.array(to_numpy(v.value)) for v in model.weights]


def same(before, model):
    return all(
        np.array_equal(old, to_numpy(v.value))
        for old, v in zip(before, model.weights, strict=True)
    )


def run_distiller_test(
    make,
    compile_arguments,
    x,
    y,
    expected_logs,
    tmp_path,
    custom_objects=None,
    student_modality="audio",
):
    """The checks that hold for every method.

    Args:
        make: A function that returns a new distiller.
        compile_arguments: A function that returns arguments of `compile`.
        x, y: Training data; `y` is None for a method without labels.
        expected_logs: Names in the history after `fit`.
        tmp_path: A folder.
        custom_objects: For loading.
        student_modality: What the student, or other main network, reads.
    """

    def new():
        keras.utils.set_random_seed(7)
        distiller = make()
        set_weights(distiller, seed=3)
        distiller.compile(**compile_arguments())
        return distiller

    # 1. Config and JSON round trip.
    distiller = new()
    clone = type(distiller).from_config(distiller.get_config())
    assert [v.shape for v in clone.weights] == [
        v.shape for v in distiller.weights
    ]
    again = keras.models.model_from_json(
        distiller.to_json(), custom_objects=custom_objects
    )
    assert len(again.weights) == len(distiller.weights)

    # 2. Finite terms under the expected names.
    frozen = [n for role in distiller.frozen for n in distiller.networks(role)]
    before = [snapshot(network) for network in frozen]
    flags = [network.trainable for network in frozen]
    main = distiller.roles[distiller.main]
    main_before = snapshot(main)
    history = distiller.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert sorted(history) == sorted(expected_logs)
    assert all(np.all(np.isfinite(values)) for values in history.values())

    # 3. The teacher is unmoved, bit for bit, and so are its flags.
    for old, network, flag in zip(before, frozen, flags, strict=True):
        assert same(old, network)
        assert network.trainable is flag
    assert not same(main_before, main)

    # 4. Each player moves only its own variables.
    for player in range(len(distiller.players)):
        check_player_moves_its_own(new(), player, x, y)

    # 5. `predict` is the student's own.
    expected = main.predict(select_modalities(x, main), verbose=0)
    np.testing.assert_array_equal(distiller.predict(x, verbose=0), expected)

    # 6. An extra modality is ignored.
    extra = {**x, "aaa": np.zeros((len(expected), 2), "float32")}
    np.testing.assert_array_equal(distiller.predict(extra, verbose=0), expected)

    # 7. A missing one raises, names itself, and nothing is lost.
    state = snapshot(distiller)
    rest = {k: v for k, v in extra.items() if k != student_modality}
    with pytest.raises(ValueError, match=student_modality):
        distiller.fit(rest, y, verbose=0)
    with pytest.raises(ValueError, match=student_modality):
        distiller.predict(rest, verbose=0)
    assert same(state, distiller)

    # 8. Saved and loaded, it continues exactly.
    path = str(tmp_path / "distiller.keras")
    keras.utils.set_random_seed(1)
    one = new()
    one.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    one.save(path)
    two = keras.models.load_model(path, custom_objects=custom_objects)
    assert two.compiled
    for model in (one, two):
        model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(one.variables, two.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))

    # 9. Mixed precision: finite terms, float32 variables.
    keras.config.set_dtype_policy("mixed_bfloat16")
    mixed = new()
    history = mixed.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    assert all(np.all(np.isfinite(values)) for values in history.values())
    keras.config.set_dtype_policy("float32")
    return distiller


def check_player_moves_its_own(distiller, player, x, y):
    """Only the variables of one player have a gradient from its total."""
    owned = {
        id(distiller.ownership.variables[i])
        for i in distiller.ownership.indices(
            player, distiller.ownership.variables
        )
    }
    distiller.evaluate(x, y, verbose=0)  # Now the terms are known.
    for name, weight in distiller.loss_weights.items():
        claimed = [
            index
            for index, terms in enumerate(distiller.players.values())
            if terms is not None and name in terms
        ]
        mine = player in claimed or (
            not claimed and list(distiller.players.values())[player] is None
        )
        distiller.set_loss_weight(name, weight if mine else 0.0)
    before = {id(v): np.array(to_numpy(v.value)) for v in distiller.variables}
    distiller.train_on_batch(x, y)
    for variable in distiller.trainable_variables:
        moved = not np.array_equal(
            before[id(variable)], to_numpy(variable.value)
        )
        if id(variable) not in owned:
            assert not moved, variable.path


def moved_by(distiller, term, x, y=None, parts=None):
    """The roles, and the further layers, that a single term trains.

    Takes one step with all other weights at zero and puts everything back, so
    that the terms of one compiled distiller can be asked one after the other.
    Compile it with Adam, which moves by its rate however small a gradient is.
    `parts`, a dict of layers, asks for these instead.
    """
    if term not in distiller.loss_weights:
        distiller.evaluate(x, y, verbose=0)  # Now the terms are known.
    weights = distiller.loss_weights
    assert term in weights, sorted(weights)
    state = [*distiller.variables, *distiller.optimizer.variables]
    kept = [np.array(to_numpy(v.value)) for v in state]
    for name in weights:
        distiller.set_loss_weight(name, float(name == term))
    before = {id(v): np.array(to_numpy(v.value)) for v in distiller.variables}
    distiller.train_on_batch(x, y)
    if parts is None:
        parts = dict(distiller.named)
        taken = {id(layer) for layer in parts.values()}
        parts |= {n.name: n for n in distiller.layers if id(n) not in taken}
    moved = {
        name
        for name, layer in parts.items()
        if any(
            not np.array_equal(before[id(v)], to_numpy(v.value))
            for v in layer.trainable_variables
        )
    }
    for variable, value in zip(state, kept, strict=True):
        variable.assign(value)
    for name, weight in weights.items():
        distiller.set_loss_weight(name, weight)
    return moved
