import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.distillers import UME
from keras_xkd.distillers import UMT
from keras_xkd.distillers import choose_late_fusion
from keras_xkd.distillers.late_fusion_choice import LateFusionChoice
from keras_xkd.models import LateFusion
from tests.distiller_case import classifier
from tests.distiller_case import same
from tests.distiller_case import snapshot


def paired(samples, seed):
    """The label shows only in the difference of both modalities."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, samples)
    noise = rng.normal(size=(samples, 1)) * 3
    x = {"audio": 2 * y[:, None] - 1 + noise, "image": noise}
    return {k: v.astype("float32") for k, v in x.items()}, y


def unimodal(samples, seed):
    """Each modality by itself says what there is to say."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, samples)
    x = {
        name: 2 * y[:, None] - 1 + rng.normal(size=(samples, 1))
        for name in ("audio", "image")
    }
    return {k: v.astype("float32") for k, v in x.items()}, y


def network(modality, **kwargs):
    """Features `relu(x), relu(-x)`, logits `-x, x`."""
    model = classifier(modality, 1, hidden=2, units=2, **kwargs)
    up = np.array([[1.0, -1.0]], "float32")
    down = np.array([[-1.0, 1.0], [1.0, -1.0]], "float32")
    model.set_weights([up, np.zeros(2), down, np.zeros(2)])
    return model


def networks():
    return {"image": network("image"), "audio": network("audio")}


@pytest.fixture(scope="module")
def found():
    models = networks()
    before = [snapshot(m) for m in models.values()]
    results = {
        make.__name__: choose_late_fusion(
            models=models, train=make(400, 1), validation=make(300, 2)
        )
        for make in (paired, unimodal)
    }
    for old, model in zip(before, models.values(), strict=True):
        assert same(old, model)
    return results


def test_paired_features_need_umt(found):
    result = found["paired"]
    assert (result.choice, result.rule) == ("UMT", "UMT")
    assert result.probe > 0.99 and result.ensemble < 0.75
    assert result.interval[0] > 0.2
    assert isinstance(result.build(make_student()), UMT)
    with pytest.raises(ValueError, match="UMT needs a student"):
        result.build()


def test_unimodal_features_need_no_more_than_ume(found):
    result = found["unimodal"]
    assert result.choice == "UME"
    assert result.interval[0] <= 0
    ensemble = result.build()
    assert isinstance(ensemble, UME)
    x, y = unimodal(300, 2)
    right = ensemble.predict(x, verbose=0).argmax(1) == y
    assert result.ensemble == pytest.approx(right.mean())
    for name, accuracy in result.unimodal.items():
        predicted = (x[name][:, 0] > 0).astype("int64")
        assert accuracy == pytest.approx(np.mean(predicted == y))


def make_student():
    encoders = {}
    for name in ("audio", "image"):
        inputs = keras.Input((1,), name=name)
        encoders[name] = keras.Model(inputs, layers.Dense(2)(inputs))
    return LateFusion(encoders, 2)


def test_the_probe_is_logistic_regression_on_features(found):
    from sklearn.linear_model import LogisticRegression

    def features(x):
        both = [np.maximum([x[n], -x[n]], 0) for n in ("audio", "image")]
        return np.concatenate([b[..., 0].T for b in both], axis=1)

    (x, y), (x_val, y_val) = paired(400, 1), paired(300, 2)
    mean, scale = features(x).mean(0), features(x).std(0)
    probe = LogisticRegression().fit((features(x) - mean) / scale, y)
    expected = probe.score((features(x_val) - mean) / scale, y_val)
    assert found["paired"].probe == pytest.approx(expected, abs=0.004)


def test_it_prints_itself_and_can_be_overridden(found):
    result = found["unimodal"]
    text = str(result)
    low, high = result.interval
    for part in (
        "Late fusion: UME",
        f"average (A)       {result.ensemble:.3f} +- ",
        f"linear probe (B)  {result.probe:.3f} +- ",
        f"{low:+.3f} to {high:+.3f}",
        "300 validation samples",
    ):
        assert part in text
    result.choice = "UMT"
    assert "Late fusion: UMT" in repr(result)
    assert isinstance(result.build(make_student(), warm_start=False), UMT)
    with pytest.raises(ValueError, match="one of .'UME', 'UMT'"):
        result.choice = "joint"
    result.choice = "UME"


def test_bootstrap_is_paired_and_seeded():
    rng = np.random.default_rng(0)
    ensemble = rng.random(500) < 0.7
    probe = ensemble ^ (rng.random(500) < 0.1)
    result = LateFusionChoice({}, ensemble, probe, {}, seed=3)
    draws = rng.integers(0, 500, (4000, 500))
    gaps = (probe[draws].mean(1)) - (ensemble[draws].mean(1))
    expected = np.quantile(gaps, [0.025, 0.975])
    np.testing.assert_allclose(result.interval, expected, atol=0.004)
    assert result.ensemble_spread == pytest.approx(
        ensemble[draws].mean(1).std(), rel=0.1
    )
    assert result.probe_spread == pytest.approx(
        probe[draws].mean(1).std(), rel=0.1
    )
    again = LateFusionChoice({}, ensemble, probe, {}, seed=3)
    assert again.interval == result.interval
    # B > A is not enough where it may be chance.
    close = LateFusionChoice({}, np.arange(50) < 30, np.arange(50) < 31, {})
    assert (close.rule, close.choice) == ("UMT", "UME")
    never = LateFusionChoice({}, np.arange(9) < 0, np.arange(9) < 9, {})
    assert never.choice == "UMT" and never.interval == (1.0, 1.0)


def test_batches_and_absent_samples():
    models = networks()
    train, (x, y) = unimodal(200, 1), unimodal(100, 2)
    whole = choose_late_fusion(models=models, train=train, validation=(x, y))

    def batches(x, y):
        for start in range(0, len(y), 40):
            rows = slice(start, start + 40)
            yield {n: v[rows] for n, v in x.items()}, np.eye(2)[y[rows]]

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return list(batches(*train))[index]

    # Two samples more, which lack a modality.
    x = {n: np.concatenate([v, np.full((2, 1), np.nan)]) for n, v in x.items()}
    x["present"] = {"audio": (np.arange(102) < 100).astype("float32")}
    parts = choose_late_fusion(
        models=models,
        train=Data(),
        validation=(x, np.append(y, [0, 0])[:, None]),
        batch_size=64,
    )
    assert parts.samples == 100
    assert repr(parts) == repr(whole)
    again = choose_late_fusion(
        models=models, train=batches(*train), validation=list(batches(*train))
    )
    assert again.samples == 200


def test_every_model_runs_once_per_split(monkeypatch):
    models = networks()
    rows = []
    original = keras.Model.predict_on_batch

    def counting(self, x):
        rows.append(len(x))
        return original(self, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", counting)
    choose_late_fusion(
        models=models,
        train=unimodal(40, 1),
        validation=unimodal(20, 2),
        batch_size=20,
    )
    assert rows == [20] * 6


class Bare(keras.Model):
    """Logits without features, of a network that is no graph."""

    modalities = ("audio",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x["audio"])


def bare(x):
    model = Bare(name="bare")
    model({"audio": x["audio"]})
    return model


def test_refuses():
    (x, y), models = unimodal(20, 1), networks()
    good = dict(models=models, train=(x, y), validation=(x, y))
    inputs = keras.Input((1,), name="audio")
    headless = layers.Concatenate()([inputs, inputs])
    headless = keras.Model(inputs, headless)
    for changes, message in [
        ({"models": {"audio": models["audio"]}}, "at least 2"),
        ({"train": (x, np.ones(20))}, "`train` must be of two classes"),
        ({"validation": (x, y + 1)}, "`validation` must be from 0 to 1"),
        ({"train": (x, y - 1)}, "`train` must be from 0 to 1.*-1"),
        ({"train": (x, y + 0.5)}, "`train` must be class indices"),
        ({"train": (x, np.ones((20, 3)))}, "`train` must be class indices"),
        ({"train": []}, "`train` is empty"),
        ({"train": (x, y[:9])}, "`train`: .*number of samples.*'y': 9"),
        ({"train": (x, y.astype(str))}, "`train` must be class indices"),
        ({"train": (x["audio"], y)}, r"dict `x`.*\['ndarray', 'ndarray'\]"),
        ({"train": [(x,)]}, r"`train` must be `\(x, y\)`.*\['dict'\]"),
        ({"validation": None}, "`validation` must be .*NoneType"),
        ({"validation": x}, r"`validation` must be .*\['dict'\]"),
        (
            {"validation": ({**x, "audio": x["audio"] + np.inf}, y)},
            "of 'audio' on `validation` must be finite.* 20 of the 20",
        ),
        ({"validation": ({"audio": x["audio"]}, y)}, "'image' is missing"),
        ({"models": {**models, "audio": headless}}, "cannot be found"),
        ({"models": {**models, "audio": bare(x)}}, "'features' of 'bare'"),
        (
            {"models": {**models, "audio": classifier("audio", 1, units=1)}},
            "two logits.*'audio' with one",
        ),
        (
            {"models": {**models, "text": classifier("text", 1, units=4)}},
            "same classes",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            choose_late_fusion(**{**good, **changes})


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"keras-xkd\[viz\]"):
        choose_late_fusion(
            models=networks(), train=unimodal(9, 1), validation=unimodal(9, 2)
        )
