import math
import time

import numpy as np
import pytest
from keras import layers

from keras_xkd.diagnostics import deployment_report
from keras_xkd.diagnostics.latency import interleaved
from keras_xkd.diagnostics.latency import median_interval
from keras_xkd.diagnostics.scoring import wilson
from keras_xkd.diagnostics.storage import file_bytes
from keras_xkd.diagnostics.storage import weight_bytes
from keras_xkd.distillers import CrossModalDistiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.test_case import to_numpy


def networks():
    models = {
        "teacher": classifier("image", 6, hidden=256),
        "student": classifier("audio", 4, hidden=16),
    }
    for model in models.values():
        set_weights(model, 1)
    return models


def test_quantities():
    models = networks()
    x, y = make_data(40)
    report = deployment_report(models, x, y, batch_size=16, repeats=7)
    for name, modality in [("teacher", "image"), ("student", "audio")]:
        row = report[name]
        count = models[name].count_params()
        assert (row["parameters"], row["weight_bytes"]) == (count, 4 * count)
        assert row["file_bytes"] > row["weight_bytes"]
        for size in (1, 16):
            low, high = row[f"latency_{size}_interval"]
            assert 0 < low <= row[f"latency_{size}"] <= high
        logits = to_numpy(models[name](x[modality]))
        hits = np.sum(logits.argmax(1) == y)
        assert row["accuracy"] == pytest.approx(hits / 40)
        assert row["accuracy_interval"] == wilson(hits, 40, 0.95)
    assert list(report.to_dict()) == ["teacher", "student"]
    text = str(report)
    ratio = models["student"].count_params() / models["teacher"].count_params()
    (line,) = [line for line in text.splitlines() if "parameters" in line]
    assert line.rstrip("| ").endswith(f"{ratio:.3f}")
    for word in ("batch of 1, ms", "batch of 16, ms", "accuracy", "file, kB"):
        assert word in text


def test_without_labels_and_from_batches():
    x, y = make_data(10)
    models = networks()
    report = deployment_report(models, x, repeats=2, batch_size=4)
    assert report.metrics == [] and "accuracy" not in report["student"]
    assert report.plot().get_ylabel() == "weights, kB"
    batches = [({n: v[:6] for n, v in x.items()}, y[:6])]
    batches.append(({n: v[6:] for n, v in x.items()}, y[6:]))
    found = deployment_report(models, batches, repeats=2)
    whole = deployment_report(models, x, y, repeats=2)
    assert found["student"]["accuracy"] == whole["student"]["accuracy"]
    assert "latency_32" in found["student"]


def test_the_student_of_a_distiller():
    distiller = CrossModalDistiller(**networks())
    distiller.compile("adam", "sparse_categorical_crossentropy")
    x, y = make_data(8)
    distiller.fit(x, y, verbose=0)
    report = deployment_report({"student": distiller}, x, repeats=1)
    own = distiller.student.count_params()
    assert report["student"]["parameters"] == own


def test_the_file_is_counted_without_the_optimizer():
    x, y = make_data(8)
    model = classifier("audio", 4, hidden=500)
    before = file_bytes(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x["audio"], y % 3, verbose=0)
    # But for what `compile` was called with.
    assert file_bytes(model) == pytest.approx(before, abs=4000)
    assert before > 4 * model.count_params() > 16_000


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 4), ("float16", 2), ("bfloat16", 2)]
)
def test_bytes_of_weights(dtype, size):
    layer = layers.Dense(3, dtype=dtype)
    layer.build((None, 5))
    assert weight_bytes(layer) == size * 18


def test_latency_is_interleaved():
    order = []
    calls = {
        "a": lambda: order.append("a"),
        "b": lambda: time.sleep(0.005) or order.append("b"),
    }
    seconds = interleaved(calls, 4)
    assert "".join(order) == "aaabbb" + "abbaabba"
    assert np.all(seconds["b"] >= 0.005) and len(seconds["a"]) == 4
    assert np.median(seconds["a"]) < 0.005


def test_interval_of_a_median():
    # As tabulated: for 20 values the 6th and the 15th, for 5 all of them.
    assert median_interval(np.arange(1, 21)[::-1], 0.95) == (10.5, (6, 15))
    assert median_interval([3, 1, 2], 0.95) == (2, (1, 3))
    assert median_interval([7.0], 0.95) == (7, (7, 7))
    # It covers as often as it says.
    rng = np.random.default_rng(0)
    covered = [
        low <= math.log(2) <= high
        for low, high in (
            median_interval(rng.exponential(size=31), 0.9)[1]
            for _ in range(2000)
        )
    ]
    assert 0.89 < np.mean(covered) < 0.97


def test_plot():
    from matplotlib.figure import Figure

    x, y = make_data(12)
    report = deployment_report(networks(), x, y, batch_size=4, repeats=3)
    ax = report.plot(ax=Figure().subplots(), batch_size=4)
    assert ax.get_xlabel() == "latency of a batch of 4, ms"
    assert ax.get_ylabel() == "accuracy"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["teacher, 10 kB", "student, 1 kB"]
    with pytest.raises(ValueError, match="one of .1, 4.*9"):
        report.plot(batch_size=9)
    with pytest.raises(ValueError, match="'f1'"):
        report.plot(metric="f1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": {}}, "of at least one. Received: {}"),
        ({"models": [1]}, r"Received: \[1\]"),
        ({"x": iter([])}, "is empty"),
        ({"repeats": 0}, "repeats=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"x": {"audio": np.zeros((2, 4))}}, "'image' is missing"),
    ],
)
def test_refuses(arguments, message):
    x, _ = make_data(8)
    with pytest.raises(ValueError, match=message):
        deployment_report(**{"models": networks(), "x": x, **arguments})
