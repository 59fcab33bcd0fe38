import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import Fusion
from tests.distiller_case import set_weights
from tests.test_case import gradient
from tests.test_case import to_numpy

WITH_WEIGHTS = [{"mode": "attention"}, {"mode": "concat", "placeholder": True}]


def reference(mode, features, present):
    rows = []
    for i in range(len(features["a"])):
        there = {
            name: value[i] * (1 if name not in present else present[name][i])
            for name, value in sorted(features.items())
        }
        if mode == "concat":
            rows.append(np.concatenate(list(there.values())))
            continue
        total = sum(there.values())
        count = sum(
            1 if name not in present else present[name][i] for name in features
        )
        rows.append(total / max(count, 1) if mode == "mean" else total)
    return np.stack(rows)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["concat", "mean", "sum"]),
    st.sets(st.sampled_from("bcd")),
    st.sets(st.sampled_from("abcd")),
    st.integers(0, 99),
)
def test_values(mode, names, masked, seed):
    rng = np.random.default_rng(seed)
    names = {"a", *names}
    width = {n: 3 if mode != "concat" else ord(n) - 95 for n in names}
    features = {
        n: rng.normal(size=(4, width[n])).astype("float32") for n in names
    }
    present = {
        n: rng.integers(0, 2, 4).astype("float32") for n in names & masked
    }
    expected = reference(mode, features, present)
    broken = {
        n: np.where(present[n][:, None] > 0, f, np.nan) if n in present else f
        for n, f in features.items()
    }
    found = to_numpy(Fusion(mode)(broken, present))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def draw(seed=0, samples=6):
    """Features, and which there are: all of them, some, none of a sample."""
    rng = np.random.default_rng(seed)
    features = {
        n: rng.normal(size=(samples, 3)).astype("float32") for n in "cab"
    }
    present = {n: rng.integers(0, 2, samples).astype("float32") for n in "ac"}
    return features, present


def as_weights(layer):
    """Weights by name, of a layer that is built."""
    return {v.name: to_numpy(v.value) for v in layer.weights}


def test_attention():
    features, present = draw()
    present["b"] = np.array([1, 0, 1, 0, 1, 0], "float32")
    present["a"][1] = present["c"][1] = 0  # Has nothing.
    broken = {
        n: np.where(present[n][:, None] > 0, f, np.nan)
        for n, f in features.items()
    }
    layer = Fusion("attention")
    layer(broken, present)
    set_weights(layer, 3)
    query, bias = layer.get_weights()
    assert query.shape == (3, 3) and bias.shape == (3,)
    expected = np.zeros((6, 3))
    for i in range(6):
        own = [k for k, n in enumerate("abc") if present[n][i]]
        scores = [
            np.exp(features["abc"[k]][i] @ query[k] + bias[k]) for k in own
        ]
        for k, score in zip(own, scores):
            expected[i] += score / sum(scores) * features["abc"[k]][i]
    found = to_numpy(layer(broken, present))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[1], 0)
    # What is not named is there.
    del present["b"]
    ones = {**present, "b": np.ones(6)}
    np.testing.assert_allclose(
        to_numpy(layer(features, present)), to_numpy(layer(features, ones))
    )


def test_placeholders():
    rng = np.random.default_rng(0)
    features, present = draw()
    features["b"] = rng.normal(size=(6, 2)).astype("float32")
    layer, plain = Fusion("concat", placeholder=True), Fusion()
    start = to_numpy(layer(features, present))
    np.testing.assert_array_equal(start, to_numpy(plain(features, present)))
    set_weights(layer, 3)
    vectors = as_weights(layer)
    assert {n: v.shape for n, v in vectors.items()} == {
        "placeholder_a": (3,),
        "placeholder_b": (2,),
        "placeholder_c": (3,),
    }
    broken = {
        n: np.where(present[n][:, None] > 0, f, np.nan) if n in present else f
        for n, f in features.items()
    }
    expected = np.concatenate(
        [
            np.where(
                present.get(n, np.ones(6))[:, None] > 0,
                features[n],
                vectors[f"placeholder_{n}"],
            )
            for n in "abc"
        ],
        axis=1,
    )
    np.testing.assert_allclose(to_numpy(layer(broken, present)), expected)
    nothing = {n: np.zeros(6) for n in "abc"}
    rows = np.concatenate([vectors[f"placeholder_{n}"] for n in "abc"])
    np.testing.assert_allclose(
        to_numpy(layer(broken, nothing)), np.tile(rows, (6, 1))
    )


@pytest.mark.parametrize(
    "arguments", [{"mode": m} for m in ("mean", "sum")] + WITH_WEIGHTS
)
def test_no_gradient_of_what_is_absent(arguments):
    features, present = draw(1)
    present = {n: present.get(n, np.ones(6)) for n in "abc"}
    present["b"][2:4] = 0
    broken = [
        np.where(present[n][:, None] > 0, features[n], np.nan) for n in "abc"
    ]
    layer = Fusion(**arguments)
    layer(features, present)
    set_weights(layer, 2)
    found = gradient(
        lambda *f: keras.ops.sum(
            keras.ops.square(layer(dict(zip("abc", f)), present))
        ),
        *broken,
    )
    for name, values in zip("abc", found):
        there = present[name] > 0
        np.testing.assert_array_equal(values[~there], 0)
        assert np.all(np.isfinite(values)) and np.any(values[there])


@pytest.mark.parametrize("arguments", [{"mode": "mean"}, *WITH_WEIGHTS])
def test_saves_and_loads(arguments, tmp_path):
    features, _ = draw()
    inputs = {n: keras.Input((3,), name=n) for n in features}
    model = keras.Model(inputs, Fusion(**arguments)(inputs))
    set_weights(model, 1)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        to_numpy(loaded(features)), to_numpy(model(features)), rtol=1e-6
    )
    config = loaded.layers[-1].get_config()
    assert config["mode"] == arguments["mode"]
    assert config["placeholder"] == arguments.get("placeholder", False)
    # Files from before there were placeholders.
    del config["placeholder"]
    assert Fusion.from_config(config).placeholder is False


@pytest.mark.parametrize("arguments", WITH_WEIGHTS)
def test_weights_are_those_of_their_modalities(arguments):
    features, _ = draw()
    layer = Fusion(**arguments)
    layer(features)
    with pytest.raises(ValueError, match=r"weights for .*'c'.*\['a', 'b'\]"):
        layer({n: features[n] for n in "ab"})


@pytest.mark.parametrize(
    ("mode", "shapes", "message"),
    [
        ("product", [], "one of .'concat', 'mean', 'sum', 'attention'"),
        ("mean", [(2, 3), (2, 4)], "all of one width"),
        ("attention", [(2, 3), (2, 4)], "all of one width"),
        ("concat", [(2, 3), (2, 4, 5)], r"shape `\(batch, features\)`"),
    ],
)
def test_refuses(mode, shapes, message):
    with pytest.raises(ValueError, match=message):
        features = {str(i): np.ones(shape) for i, shape in enumerate(shapes)}
        Fusion(mode)(features)


def test_refuses_a_placeholder_elsewhere():
    with pytest.raises(ValueError, match="placeholder=True, mode='mean'"):
        Fusion("mean", placeholder=True)


@pytest.mark.parametrize("arguments", [{"mode": "mean"}, *WITH_WEIGHTS])
def test_computes_in_its_own_dtype(arguments):
    layer = Fusion(**arguments, dtype="mixed_bfloat16")
    value = layer({"a": np.ones((2, 3), "float32")}, {"a": np.ones(2)})
    assert keras.backend.standardize_dtype(value.dtype) == "bfloat16"
