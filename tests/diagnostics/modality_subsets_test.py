import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd import losses
from keras_xkd.diagnostics import modality_subsets
from keras_xkd.diagnostics.scoring import wilson
from keras_xkd.distillers import UME
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.metrics import PearsonCorrelation
from keras_xkd.models import LateFusion
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.test_case import to_numpy

WIDTHS = {"audio": 4, "image": 6, "text": 3}


def student(names=("audio", "image"), seed=1, **kwargs):
    encoders = {}
    for name in names:
        inputs = keras.Input((WIDTHS[name],), name=name)
        encoders[name] = keras.Model(inputs, layers.Dense(5)(inputs))
    model = LateFusion(encoders, units=3, **kwargs)
    set_weights(model, seed)
    return model


def accuracy(model, x, y, subset):
    """That of a subset, from the features alone."""
    features = {
        name: value if name in subset else np.zeros_like(to_numpy(value))
        for name, value in model.encode(x).items()
    }
    return np.mean(to_numpy(model.decide(features)).argmax(1) == y)


def test_every_subset():
    x, y = make_data(40, **WIDTHS)
    model = student(("audio", "image", "text"))
    result = modality_subsets(model, x, y, batch_size=16)
    assert list(result) == [
        ("audio",),
        ("image",),
        ("text",),
        ("audio", "image"),
        ("audio", "text"),
        ("image", "text"),
        ("audio", "image", "text"),
    ]
    for row in result.rows:
        subset = row["modalities"]
        share = accuracy(model, x, y, subset)
        assert row["accuracy"] == pytest.approx(share)
        assert row["samples"] == 40
        ends = wilson(round(40 * share), 40, 0.95)
        assert row["accuracy_interval"] == pytest.approx(ends)
        assert result[subset[::-1]] is row
    assert result["text"] is result.rows[2]
    assert ("text", "audio") in result and "video" not in result
    assert len({row["accuracy"] for row in result.rows}) > 1
    assert "does not read" not in str(result)
    assert "| audio + image + text |" in str(result)


def test_wilson():
    from scipy.stats import binomtest

    for hits, count in [(0, 5), (5, 5), (3, 40), (700, 1000)]:
        expected = binomtest(hits, count).proportion_ci(0.9, method="wilson")
        assert wilson(hits, count, 0.9) == pytest.approx(tuple(expected))


class Rows:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return {n: v[index] for n, v in self.x.items()}, self.y[index]


@pytest.mark.parametrize(
    "kind", ["generator", "PyDataset", "tf.data", "DataLoader", "grain"]
)
def test_any_data_set_of_batches(kind):
    x, y = make_data(20)
    model = student()
    expected = modality_subsets(model, x, y)
    cuts = [slice(i, i + 8) for i in range(0, 20, 8)]

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return len(cuts)

        def __getitem__(self, index):
            return {n: v[cuts[index]] for n, v in x.items()}, y[cuts[index]]

    if kind == "generator":
        weighted = Data()
        data = ((*weighted[i], y[cuts[i]] + 1.0) for i in range(len(cuts)))
    elif kind == "PyDataset":
        data = Data()
    elif kind == "tf.data":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    elif kind == "DataLoader":
        import torch

        data = torch.utils.data.DataLoader(Rows(x, y), batch_size=8)
    else:
        import grain

        data = grain.MapDataset.source(Rows(x, y)).batch(8)
    found = modality_subsets(model, data)
    assert found.rows == expected.rows


def test_samples_that_lack_a_modality_anyway():
    x, y = make_data(12)
    there = np.arange(12) % 3 > 0
    broken = {**x, "audio": np.where(there[:, None], x["audio"], np.nan)}
    broken["present"] = {"audio": there.astype("float32")}
    for model in (
        student(),
        UME(models={n: classifier(n, WIDTHS[n]) for n in ("audio", "image")}),
    ):
        result = modality_subsets(model, broken, y)
        counts = [row["samples"] for row in result.rows]
        assert counts == [8, 12, 12]
        part = {name: value[there] for name, value in x.items()}
        alone = modality_subsets(model, part, y[there])
        assert result["audio"] == alone["audio"]
        expected = np.mean(to_numpy(model(broken)).argmax(1) == y)
        assert result["audio", "image"]["accuracy"] == pytest.approx(expected)
    nothing = {**x, "present": {"audio": np.zeros(12)}}
    row = modality_subsets(student(), nothing, y)["audio"]
    assert row["samples"] == 0 and row["accuracy_interval"] is None
    assert np.isnan(row["accuracy"])


def test_nested_modalities():
    """Token ids and their mask are absent together."""
    x, y = make_data(12, audio=4)
    rng = np.random.default_rng(0)
    x["text"] = {
        "padding_mask": np.ones((12, 5), "int32"),
        "token_ids": rng.integers(1, 9, (12, 5)).astype("int32"),
    }
    inputs = {
        name: keras.Input((5,), dtype="int32", name=name) for name in x["text"]
    }
    tokens = layers.Embedding(9, 5)(inputs["token_ids"])
    tokens = (
        tokens * keras.ops.cast(inputs["padding_mask"], "float32")[..., None]
    )
    text = keras.Model({"text": inputs}, keras.ops.mean(tokens, 1))
    audio = keras.Input((4,), name="audio")
    audio = keras.Model(audio, layers.Dense(5)(audio))
    model = LateFusion({"audio": audio, "text": text}, 3, fusion="attention")
    set_weights(model, 1)
    result = modality_subsets(model, x, y)
    features = {name: to_numpy(v) for name, v in model.encode(x).items()}
    for name in features:  # A weight of one, as there is nothing else.
        alone = to_numpy(model.head(features[name])).argmax(1)
        assert result[name]["accuracy"] == pytest.approx(np.mean(alone == y))


def test_a_network_that_cannot_go_without():
    x, y = make_data(12)
    inputs = {n: keras.Input((WIDTHS[n],), name=n) for n in ("audio", "image")}
    joined = layers.Concatenate()(list(inputs.values()))
    model = keras.Model(inputs, layers.Dense(3)(joined), name="early")
    set_weights(model, 2)
    result = modality_subsets(model, x, y)
    assert "'early' does not read `present`" in str(result)
    zeros = {**x, "image": np.zeros_like(x["image"])}
    expected = np.mean(to_numpy(model(zeros)).argmax(1) == y)
    assert result["audio"]["accuracy"] == pytest.approx(expected)
    # It needs both, so that a sample without one counts where it is left out.
    x["present"] = {"audio": (np.arange(12) < 5).astype("float32")}
    counts = [r["samples"] for r in modality_subsets(model, x, y).rows]
    assert counts == [5, 12, 5]


def test_a_student_of_a_distiller_and_what_is_always_there():
    x, y = make_data(12, **WIDTHS)
    distiller = CrossModalDistiller(
        student=student(("audio", "image", "text")),
        teacher=classifier("image", 6),
    )
    distiller.compile("sgd", distillation_loss=losses.SoftTargets())
    result = modality_subsets(distiller, x, y, modalities=["text"])
    assert list(result) == [("audio", "image"), ("audio", "image", "text")]
    assert (
        result.rows[0]
        == modality_subsets(distiller.student, x, y)["audio", "image"]
    )


def test_other_metrics():
    x, _ = make_data(30)
    inputs = {n: keras.Input((WIDTHS[n],), name=n) for n in ("audio", "image")}
    outputs = {
        "score": layers.Dense(1)(layers.Concatenate()([*inputs.values()]))
    }
    model = keras.Model(inputs, outputs)
    set_weights(model, 3)
    y = np.random.default_rng(1).normal(size=(30, 1)).astype("float32")
    metrics = ["mae", PearsonCorrelation()]
    result = modality_subsets(model, x, y, metrics, confidence=0.8)
    score = to_numpy(model(x)["score"])
    row = result.rows[-1]
    errors = np.abs(score - y)
    assert row["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    pearson = np.corrcoef(score[:, 0], y[:, 0])[0, 1]
    assert row["pearson_correlation"] == pytest.approx(pearson, abs=1e-4)
    error = 1.2816 * errors.std(ddof=1) / np.sqrt(30)
    ends = errors.mean() - error, errors.mean() + error
    assert row["mae_interval"] == pytest.approx(ends, rel=1e-4)
    low, high = row["pearson_correlation_interval"]
    # By Fisher's transformation; a bootstrap says about the same.
    expected = 2 * 1.2816 * (1 - pearson**2) / np.sqrt(27)
    assert low < pearson < high
    assert high - low == pytest.approx(expected, rel=0.3)
    assert str(result).count("80 % interval") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": None}, "data set `x` of batches|pass `y`"),
        ({"modalities": ["text"]}, r"1 to 8 of \['audio', 'image'\].*text"),
        ({"modalities": []}, r"modalities=\[\]"),
        ({"metrics": ["mae", "mae"]}, "different names"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"x": []}, "type list"),
        ({"x": [], "y": None}, "is empty"),
        ({"x": np.zeros((12, 4))}, "must be a dict"),
        ({"metrics": keras.metrics.F1Score()}, "must be one number"),
    ],
)
def test_refuses(arguments, message):
    x, y = make_data(12)
    if "metrics" in arguments:
        y = np.eye(3)[y]
    with pytest.raises(ValueError, match=message):
        modality_subsets(student(), **{"x": x, "y": y, **arguments})


def test_refuses_predictions_that_are_not_finite():
    x, y = make_data(12)
    inputs = {n: keras.Input((WIDTHS[n],), name=n) for n in ("audio", "image")}
    length = keras.ops.sum(inputs["audio"], -1, keepdims=True)
    model = keras.Model(inputs, layers.Dense(3)(inputs["image"]) / length)
    with pytest.raises(ValueError, match=r"with \['image'\] alone"):
        modality_subsets(model, x, y)


def test_plot():
    import matplotlib
    from matplotlib.figure import Figure

    x, y = make_data(12)
    result = modality_subsets(student(), x, y, ["accuracy", "acc"])
    before = dict(matplotlib.rcParams)
    ax = result.plot()
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "audio",
        "image",
        "audio + image",
    ]
    assert ax.get_xlabel() == "accuracy, with 95 % interval"
    shown = [
        line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"
    ]
    assert shown == [row["accuracy"] for row in result.rows]
    own = Figure().subplots()
    assert result.plot(ax=own, metric="acc") is own
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(ValueError, match="metric='f1'|'f1'"):
        result.plot(metric="f1")
