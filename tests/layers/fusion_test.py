import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import Fusion
from tests.test_case import to_numpy


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


def test_config():
    layer = Fusion.from_config(Fusion("mean").get_config())
    assert layer.mode == "mean"


@pytest.mark.parametrize(
    ("mode", "shapes", "message"),
    [
        ("product", [], "one of .'concat', 'mean', 'sum'"),
        ("mean", [(2, 3), (2, 4)], "all of one width"),
        ("concat", [(2, 3), (2, 4, 5)], r"shape `\(batch, features\)`"),
    ],
)
def test_refuses(mode, shapes, message):
    with pytest.raises(ValueError, match=message):
        features = {str(i): np.ones(shape) for i, shape in enumerate(shapes)}
        Fusion(mode)(features)


def test_computes_in_its_own_dtype():
    layer = Fusion("mean", dtype="mixed_bfloat16")
    value = layer({"a": np.ones((2, 3), "float32")}, {"a": np.ones(2)})
    assert keras.backend.standardize_dtype(value.dtype) == "bfloat16"
