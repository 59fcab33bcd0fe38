"""A result that a notebook shows, without `print`, says the same."""

import numpy as np
import pytest

from keras_xkd import diagnostics

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 60, 3))
LABELS = (A[:, 0] > 0).astype("int32")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (diagnostics.mutual_information(A, B), "Mutual information: at least"),
        (diagnostics.modality_distance(A, B), "Mean cosine of the pairs"),
        (diagnostics.complementarity(A, B, LABELS), "distillation"),
    ],
    ids=["mutual_information", "modality_distance", "complementarity"],
)
def test_repr(result, words):
    assert words in repr(result)
    assert repr(result) == str(result)
    assert words in repr([result])
