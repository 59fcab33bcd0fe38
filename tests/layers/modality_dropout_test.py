import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import ModalityDropout
from tests.test_case import to_numpy

SAMPLES = 200


def batch(present=None):
    x = {
        "audio": np.ones((SAMPLES, 3), "float32"),
        "image": np.ones((SAMPLES, 2, 2, 1), "float32"),
        "text": {
            "padding_mask": np.ones((SAMPLES, 4), "bool"),
            "token_ids": np.full((SAMPLES, 4), 5, "int32"),
        },
    }
    if present is not None:
        x["present"] = present
    return x


def kept(x, name):
    """Whether each sample has a modality; it has all of it, or nothing."""
    leaves = x[name].values() if isinstance(x[name], dict) else [x[name]]
    found = []
    for leaf in leaves:
        values = to_numpy(leaf).reshape(SAMPLES, -1) != 0
        assert (values.all(1) == values.any(1)).all()
        found.append(values.all(1))
    assert all(np.array_equal(found[0], other) for other in found)
    return found[0]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    rates=st.fixed_dictionaries(
        {
            name: st.sampled_from([0.0, 0.5, 1.0])
            for name in ("audio", "image", "text")
        }
    ),
    seed=st.integers(0, 100),
)
def test_never_all_that_is_there(rates, seed):
    rng = np.random.default_rng(seed)
    present = {
        name: rng.integers(0, 2, SAMPLES).astype("float32")
        for name in ("audio", "text")
    }
    x = batch(present)
    found = ModalityDropout(rates, seed=seed)(x, training=True)
    there = {name: kept(found, name) for name in rates}
    before = {**present, "image": np.ones(SAMPLES)}
    alone = sum(before.values()) == 1
    for name, rate in rates.items():
        left = there[name] & (before[name] > 0)
        assert left[alone & (before[name] > 0)].all()
        if rate == 0:
            assert left[before[name] > 0].all()
    for name, mask in present.items():
        masks = to_numpy(found["present"][name])
        assert masks.dtype == mask.dtype
        np.testing.assert_array_equal(masks, there[name] * mask)
    assert set(found["present"]) == set(present)
    total = sum(there[name] & (before[name] > 0) for name in rates)
    assert (total > 0).all()


def test_the_rate_and_who_stays():
    layer = ModalityDropout(0.5, seed=1)
    counts = {"audio": 0, "image": 0, "text": 0}
    runs, single = 20, 0
    for _ in range(runs):
        found = layer(batch(), training=True)
        there = np.stack([kept(found, name) for name in counts])
        for name, row in zip(counts, there, strict=True):
            counts[name] += row.mean() / runs
        single += (there.sum(0) == 1).mean() / runs
    # Half, and a third of the eighth of the samples that would lose all.
    for share in counts.values():
        np.testing.assert_allclose(share, 1 / 2 + 1 / 24, atol=0.03)
    np.testing.assert_allclose(single, 3 / 8 + 1 / 8, atol=0.03)


def test_rates_by_modality():
    found = ModalityDropout({"audio": 1.0}, seed=0)(batch(), training=True)
    assert not kept(found, "audio").any()
    assert kept(found, "image").all() and kept(found, "text").all()
