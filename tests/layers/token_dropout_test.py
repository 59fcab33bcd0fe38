import numpy as np
import pytest

from keras_xkd.layers import TokenDropout
from tests.test_case import to_numpy


def test_rate_and_special_tokens():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 6, (200, 50)).astype("int32")
    layer = TokenDropout(0.3, mask_id=9, special_ids=(0, 1), seed=1)
    found = to_numpy(layer(ids, training=True))
    assert found.dtype == ids.dtype
    special = ids < 2
    np.testing.assert_array_equal(found[special], ids[special])
    replaced = found == 9
    np.testing.assert_array_equal(found[~replaced], ids[~replaced])
    np.testing.assert_allclose(replaced[~special].mean(), 0.3, atol=0.02)


@pytest.mark.parametrize("kind", ["bool", "int32", "float32"])
def test_padding_stays(kind):
    ids = np.full((4, 6), 7, "int32")
    mask = (np.arange(6) < np.array([[6], [3], [1], [0]])).astype(kind)
    x = {"token_ids": ids, "padding_mask": mask, "segment_ids": ids * 0}
    found = TokenDropout(1.0, mask_id=3)(x, training=True)
    expected = np.where(mask.astype(bool), 3, 7)
    np.testing.assert_array_equal(to_numpy(found["token_ids"]), expected)
    for name in ("padding_mask", "segment_ids"):
        np.testing.assert_array_equal(to_numpy(found[name]), x[name])
    without = {"token_ids": ids}
    found = TokenDropout(1.0, mask_id=3)(without, training=True)
    np.testing.assert_array_equal(to_numpy(found["token_ids"]), 3)


def test_a_dict_without_token_ids():
    inputs = {"ids": np.zeros((2, 3), "int32"), "mask": np.ones((2, 3))}
    with pytest.raises(ValueError, match=r"`token_ids`.*\['ids', 'mask'\]"):
        TokenDropout(mask_id=3)(inputs, training=True)
