import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from keras_xkd import metrics
from keras_xkd.metrics import retrieval
from tests.test_case import assert_golden

RNG = np.random.default_rng(8)
N, D = 30, 4
LABELS = np.arange(N) % 3
FIRST = RNG.normal(size=(N, D)) + np.eye(3, D)[LABELS]
SECOND = RNG.normal(size=(N, D)) + np.eye(3, D)[LABELS]
SECOND[5:9] = SECOND[4]  # Ties.


def similarities(queries, gallery):
    """Cosines in double precision, in which nearly equal ones are equal."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True)
            for x in (queries, gallery)]  # fmt: skip
    return np.round(unit[0] @ unit[1].T, 6)


def precision(queries, gallery, query_labels, gallery_labels):
    """Average precision of each query, by scikit-learn."""
    rows = similarities(queries, gallery)
    return np.array(
        [
            average_precision_score(gallery_labels == label, row)
            if np.any(gallery_labels == label)
            else 0.0
            for row, label in zip(rows, query_labels)
        ]
    )


def recall(queries, gallery, query_labels, gallery_labels, k):
    """Whether each query finds one, by sorting with others before equals."""
    found = []
    rows = similarities(queries, gallery)
    for row, label in zip(rows, query_labels):
        order = np.lexsort((gallery_labels == label, -row))[:k]
        found.append(np.any(gallery_labels[order] == label))
    return np.array(found, "float64")


def both(values, *arguments):
    there = values(FIRST, SECOND, LABELS, LABELS, *arguments)
    back = values(SECOND, FIRST, LABELS, LABELS, *arguments)
    return there, back


CASES = {
    "map": (metrics.RetrievalMAP, {}, both(precision)),
    "recall_at_1": (metrics.RecallAtK, {"k": 1}, both(recall, 1)),
    "recall_at_4": (metrics.RecallAtK, {"k": 4}, both(recall, 4)),
}
for_all = pytest.mark.parametrize("name", CASES)


def stream(metric, first=FIRST, second=SECOND, weights=None, size=10):
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        metric.update_state(
            LABELS[: len(first)][rows],
            (first[rows], second[rows]),
            None if weights is None else weights[rows],
        )
    return float(metric.result())


@for_all
def test_value_over_batches(name):
    kind, arguments, (there, back) = CASES[name]
    expected = {
        "forward": there.mean(),
        "backward": back.mean(),
        "both": (there.mean() + back.mean()) / 2,
    }
    assert there.mean() != back.mean()
    for direction, value in expected.items():
        metric = kind(
            **arguments, capacity=40, embedding_dim=D, direction=direction
        )
        assert stream(metric) == pytest.approx(value, rel=1e-5)
        metric.reset_state()
        assert float(metric.result()) == 0
        assert stream(metric, size=N) == pytest.approx(value, rel=1e-5)
    assert_golden(f"metrics.{name}", expected["both"])


@for_all
def test_weights(name):
    kind, arguments, _ = CASES[name]
    weights = np.arange(N) % 4 / 2
    kept = weights > 0
    values = {
        "map": precision,
        "recall_at_1": lambda *a: recall(*a, 1),
        "recall_at_4": lambda *a: recall(*a, 4),
    }[name](FIRST[kept], SECOND[kept], LABELS[kept], LABELS[kept])
    metric = kind(
        **arguments,
        capacity=int(kept.sum()),  # The others need no room.
        embedding_dim=D,
        direction="forward",
    )
    second = np.where(kept[:, None], SECOND, np.nan)
    assert stream(metric, second=second, weights=weights) == pytest.approx(
        np.average(values, weights=weights[kept]), rel=1e-5
    )


@for_all
def test_too_many_is_nan(name):
    kind, arguments, _ = CASES[name]
    metric = kind(**arguments, capacity=N - 1, embedding_dim=D)
    assert np.isnan(stream(metric))
    metric.reset_state()
    assert not np.isnan(stream(metric, FIRST[:-1], SECOND[:-1]))


def test_functions_agree(monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK", 10)
    queries, labels = FIRST[:20], LABELS[:20] + 1  # No item has label 3.
    expected = precision(queries, SECOND, labels, LABELS)
    assert np.any(expected == 0)
    assert metrics.retrieval_map(
        queries, SECOND, labels, LABELS
    ) == pytest.approx(expected.mean(), rel=1e-5)
    assert metrics.recall_at_k(
        queries, SECOND, labels, LABELS, k=2
    ) == pytest.approx(recall(queries, SECOND, labels, LABELS, 2).mean())
    # Without labels row i looks for row i.
    pairs = np.arange(N)
    assert metrics.retrieval_map(FIRST, SECOND) == pytest.approx(
        precision(FIRST, SECOND, pairs, pairs).mean(), rel=1e-5
    )
    assert metrics.retrieval_map(FIRST, SECOND, LABELS) == pytest.approx(
        CASES["map"][2][0].mean(), rel=1e-5
    )


@given(st.permutations(range(N)), st.integers(1, 3))
@settings(max_examples=4, deadline=None)
def test_order_plays_no_part(order, decimals):
    first, second = np.round(FIRST, decimals), np.round(SECOND, decimals)
    values = [
        metrics.retrieval_map(first, second[rows], LABELS, LABELS[rows])
        for rows in (range(N), order)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_collapsed_embeddings_are_chance():
    same = np.ones((N, D))
    assert metrics.retrieval_map(FIRST, same, LABELS) == pytest.approx(1 / 3)
    assert metrics.recall_at_k(FIRST, same, LABELS, k=20) == 0
    assert metrics.recall_at_k(FIRST, same, LABELS, k=21) == 1
    assert metrics.retrieval_map(0 * FIRST, SECOND, LABELS) == pytest.approx(
        1 / 3
    )


def test_in_fit_and_evaluate():
    inputs = keras.Input((2, D))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    metric = metrics.RetrievalMAP(capacity=N, embedding_dim=3)
    model.compile("sgd", lambda y, z: z[:, 0, 0], metrics=[metric])
    x = np.stack([FIRST, SECOND], 1)
    model.fit(x, LABELS, batch_size=16, verbose=0)
    logs = model.evaluate(x, LABELS, batch_size=16, verbose=0, return_dict=True)
    first, second = np.moveaxis(model.predict(x, verbose=0), 1, 0)
    expected = precision(first, second, LABELS, LABELS).mean() / 2
    expected += precision(second, first, LABELS, LABELS).mean() / 2
    assert logs["retrieval_map"] == pytest.approx(expected, rel=1e-4)


@for_all
def test_variables_config_and_labels(name):
    kind, arguments, _ = CASES[name]
    metric = kind(
        **arguments, capacity=N, embedding_dim=D, direction="backward"
    )
    assert metric.variables
    value = stream(metric)
    other = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert other.get_config() == metric.get_config()
    pairs = np.stack([FIRST, SECOND], 1).astype("float32")
    other.update_state(np.eye(3)[LABELS], pairs)
    assert float(other.result()) == pytest.approx(value, rel=1e-5)
    other.reset_state()
    other.update_state(LABELS[:, None], pairs)
    assert float(other.result()) == pytest.approx(value, rel=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="capacity=0"):
        metrics.RetrievalMAP(0, 4)
    with pytest.raises(ValueError, match="direction.*'sideways'"):
        metrics.RetrievalMAP(4, 4, direction="sideways")
    with pytest.raises(ValueError, match="`k` must be positive"):
        metrics.RecallAtK(0, 4, 4)
    with pytest.raises(ValueError, match="`k` must be positive"):
        metrics.recall_at_k(FIRST, SECOND, k=0)
    metric = metrics.RetrievalMAP(4, 3)
    with pytest.raises(ValueError, match=r"\(batch, 2, 3\).*\(30, 2, 4\)"):
        metric.update_state(LABELS, (FIRST, SECOND))
    with pytest.raises(ValueError, match="as many features"):
        metrics.retrieval_map(FIRST, SECOND[:, :2])
    with pytest.raises(ValueError, match="30 labels for 29 embeddings"):
        metrics.retrieval_map(FIRST[1:], SECOND, LABELS, LABELS)
