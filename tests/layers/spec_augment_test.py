import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_xkd.layers import SpecAugment
from tests.test_case import to_numpy


def stretches(row):
    """The lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
    return edges[1::2] - edges[::2]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from([(12, 10), (3, 1)]),  # Each shape compiles on JAX.
    masks=st.sampled_from([0, 2]),
    width=st.integers(0, 15),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_masks_are_stretches_of_limited_width(shape, masks, width, share):
    frames, bins = shape
    layer = SpecAugment(
        time_masks=masks,
        time_width=width,
        time_share=share,
        frequency_masks=1,
        frequency_width=width,
        value=-1.0,
        seed=0,
    )
    x = np.ones((20, frames, bins), "float32")
    masked = to_numpy(layer(x, training=True)) < 0
    in_time, in_frequency = masked.all(2), masked.all(1)
    rebuilt = in_time[:, :, None] | in_frequency[:, None, :]
    np.testing.assert_array_equal(masked, rebuilt)
    longest = min(width, np.floor(np.float32(share) * np.float32(frames)))
    for i in range(len(x)):
        # Where all bins are masked, every frame is, and the other way round.
        if not in_frequency[i].all():
            assert in_time[i].sum() <= masks * longest
            assert len(stretches(in_time[i])) <= masks
        if not in_time[i].all():
            assert in_frequency[i].sum() <= width
            assert len(stretches(in_frequency[i])) <= 1


def test_widths_and_places_are_uniform():
    layer = SpecAugment(1, 4, 1.0, frequency_masks=0, value=0.0, seed=1)
    x = np.ones((6000, 10, 2), "float32")
    masked = to_numpy(layer(x, training=True))[:, :, 0] == 0
    widths = np.bincount(masked.sum(1), minlength=5) / len(x)
    np.testing.assert_allclose(widths, 0.2, atol=0.02)
    one = masked[masked.sum(1) == 1].mean(0)
    np.testing.assert_allclose(one, 0.1, atol=0.03)
    # Each sample has its own.
    assert len(np.unique(masked, axis=0)) > 20


def test_the_value_is_the_mean_of_the_sample():
    x = np.arange(24, dtype="float32").reshape(2, 3, 4)
    layer = SpecAugment(0, frequency_masks=6, frequency_width=4, seed=0)
    found = to_numpy(layer(x, training=True))
    for i in range(2):
        changed = found[i] != x[i]
        assert changed.any()
        np.testing.assert_allclose(found[i][changed], x[i].mean())
