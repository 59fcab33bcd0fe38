"""Logs of unequal length, of classes, and of trainings that diverge."""

import types

import keras
import numpy as np
import pytest

from keras_xkd.callbacks import RunReport
from keras_xkd.callbacks import report_curves
from tests.callbacks.run_report_test import Page
from tests.callbacks.run_report_test import make
from tests.distiller_case import classifier
from tests.distiller_case import make_data


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn: the epochs and the logs of every picture."""
    found = []

    def plot_terms(history, terms, ax):
        found.append([(list(h.epoch), h.history) for h in history])

    monkeypatch.setattr(report_curves, "plot_terms", plot_terms)
    return found


def text_of(history):
    return " ".join(report_curves.curves(history))


def test_validation_of_every_second_epoch_is_no_divergence(drawn):
    logs = {"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [5.0, 4.0]}
    assert "Not finite" not in text_of(logs)
    assert drawn == [[([0, 1, 2, 3], logs)]]


def test_runs_of_unequal_length(drawn):
    runs = [{"loss": [4.0, 3.0, 2.0]}, {"loss": [5.0, 4.0]}]
    text = text_of(runs)
    assert "Not finite" not in text and "of 2 epochs" in text
    first, second = [([0, 1], {"loss": v[:2]}) for v in ([4.0, 3.0], [5.0, 4])]
    assert drawn == [[first, second]]


def test_a_metric_of_the_validation_alone_is_drawn():
    text = text_of({"loss": [2.0, 1.0], "val_accuracy": [0.5, 0.75]})
    assert text.count("<img") == 2
    assert "terms" not in text.partition("<p")[0]


def test_divergence_is_named_by_its_epoch(drawn):
    history = types.SimpleNamespace(
        epoch=[5, 6, 7, 8],
        history={
            "loss": [4.0, 3.0, np.nan, 1.0],
            "val_loss": [5.0, np.inf],
            "val_accuracy": [0.5, np.nan],
        },
    )
    text = text_of(history)
    assert "Not finite from epoch 8 on." in text
    assert "The validation is not finite." in text
    assert drawn == [[([5, 6], {"loss": [4.0, 3.0]})]]


def test_nothing_finite_is_said(drawn):
    assert "Not finite from epoch 1 on." in text_of({"loss": [np.nan, 1.0]})
    assert not drawn


def test_epochs_after_a_resume(tmp_path):
    path = tmp_path / "report.html"
    x, y = make_data()
    report = RunReport(path)
    make().fit(x, y, initial_epoch=3, epochs=5, verbose=0, callbacks=[report])
    page = Page(path)
    assert "Finished after 2 of 2 epochs" in page.text
    assert page.pictures  # The curves are drawn with these epochs.
    took = report.seconds
    assert took == report.seconds  # Not the time until now.
    report.write(make(), [{"loss": [2.0, 1.0, 0.5]}])
    assert "after 3 of " in Page(path).text


def test_metrics_by_class(tmp_path):
    distiller = make([keras.metrics.F1Score(average=None)])
    x, y = make_data()
    distiller.compile(
        "sgd",
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.F1Score(average=None)],
    )
    y = keras.utils.to_categorical(y, 3)
    path = tmp_path / "report.html"
    report = RunReport(path)
    history = distiller.fit(x, y, epochs=2, verbose=0, callbacks=[report])
    means = [f"{np.mean(v):.4g}" for v in history.history["f1_score"]]
    assert Page(path).row("f1_score") == [["f1_score", *means]]
    distiller.report(path, history)
    assert Page(path).row("f1_score") == [["f1_score", *means]]


def test_an_error_before_training_leaves_the_page(tmp_path):
    path = tmp_path / "report.html"
    distiller, report = make(), RunReport(path)
    x, y = make_data()
    wrong = y[:-1]
    with pytest.raises(ValueError):
        distiller.fit(x, wrong, verbose=0, callbacks=[report])
    assert not path.exists()
    distiller.fit(x, y, verbose=0, callbacks=[report])
    with pytest.raises(ValueError):
        distiller.fit(x, wrong, verbose=0, callbacks=[report])
    assert "Finished after 1 of 1 epochs" in Page(path).text


@pytest.mark.parametrize(
    "scores",
    [{"a": [0.5, np.nan]}, {"a": [np.inf]}, {"a": []}, lambda model: [0.5]],
)
def test_bad_scores_do_not_lose_the_page(tmp_path, scores):
    path = tmp_path / "report.html"
    RunReport(path, comparison=scores).write(make())
    assert "There is no comparison" in Page(path).text


class Other(keras.Model):
    """Names that mean something in a distiller, and other things here."""

    def __init__(self):
        super().__init__()
        self.parts, self.frozen, self.roles = [1], True, 3
        self.players, self.terms, self.main = 2, None, 0
        self.loss_weights = [1.0, 0.5]
        self.network = classifier("audio", 4)

    def call(self, x):
        return self.network(x)


def test_models_with_names_of_their_own(tmp_path):
    from keras_xkd.callbacks import TensorBoard

    model = Other()
    model.compile("sgd", "mse")
    calls = [RunReport(tmp_path / "a.html"), TensorBoard(tmp_path / "logs")]
    x, _ = make_data(audio=4)
    model.fit(x["audio"], np.ones((32, 3)), verbose=0, callbacks=calls)
    page = Page(tmp_path / "a.html")
    assert page.row("model")[0][2] == "Other"


def test_what_one_fit_got_is_not_said_of_the_next(tmp_path):
    path = tmp_path / "report.html"
    report = RunReport(path)
    x, y = make_data(samples=24)
    make().fit(x, y, verbose=0, callbacks=[report])
    assert "24 samples (arrays)" in Page(path).text
    network = classifier("audio", 4)
    network.compile("sgd", "mse")
    other = np.ones((8, 4), "float32"), np.ones((8, 3))
    network.fit(*other, verbose=0, callbacks=[report])
    assert "24 samples" not in Page(path).text
