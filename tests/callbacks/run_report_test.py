"""The page: whole, escaped, sufficient to itself, however training ends."""

import html.parser
import re
import sys

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_xkd.callbacks import RunReport
from keras_xkd.callbacks import report_page
from keras_xkd.diagnostics import mutual_information
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.losses import SoftTargets
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distillers.two_players import make_two_players

VOID = {"meta", "img", "br", "hr", "link"}


class Page(html.parser.HTMLParser):
    """Reads a page; checks that tags close, and that nothing is outside it."""

    def __init__(self, path):
        super().__init__()
        self.open, self.words, self.tables = [], [], []
        self.pictures, self.headings = [], []
        source = path.read_text(encoding="utf-8")
        self.feed(source)
        self.close()
        assert not self.open
        css = re.findall(r"<style>(.*?)</style>", source, re.DOTALL)
        assert not re.findall(r"url\(|@import", "".join(css))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "object")
        for name, value in attrs:
            assert name not in ("href", "srcset") and not name.startswith("on")
            if name == "src":
                assert re.match("data:image/(png|svg.xml);base64,", value)
                self.pictures.append(dict(attrs)["alt"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        tag = self.open[-1] if self.open else ""
        if tag in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if tag == "h2":
            self.headings.append(data)
        if tag != "style":
            self.words.append(data)

    def row(self, name):
        """The cells of all rows that begin so."""
        return [r for t in self.tables for r in t if r[0] == name]


@pytest.fixture
def quick(monkeypatch):
    """Without curves: drawing takes most of the time."""
    monkeypatch.setattr(report_page.report_curves, "curves", lambda _: [])


def make(metrics=("accuracy",)):
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6)
    )
    distiller.compile(
        keras.optimizers.SGD(0.25),
        "sparse_categorical_crossentropy",
        metrics=list(metrics),
    )
    return distiller


class Stop(keras.callbacks.Callback):
    """Ends the third epoch by an error."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise self.error


def test_page_after_fit(tmp_path):
    keras.utils.set_random_seed(11)
    x, y = make_data(samples=40)
    path = tmp_path / "new" / "report.html"
    figure = Figure((9, 2))
    figure.subplots().plot([1, 2])
    result = mutual_information(x["audio"], y, classifier="linear")
    report = RunReport(
        path,
        title="A & B",
        notes="First line.\nSecond <line>.",
        comparison=lambda model: {"student": [0.5, 0.7], "one": [0.25]},
        diagnostics={"Information": result},
        figures={"Mine": figure, "Late": lambda model: None},
    )
    history = make().fit(
        x,
        y,
        batch_size=8,
        epochs=2,
        validation_data=({"audio": x["audio"][:8]}, y[:8]),
        verbose=0,
        callbacks=[report],
    )
    page = Page(path)
    assert page.headings == [
        "Results",
        "Comparison",
        "Diagnostics",
        "Figures",
        "Curves",
        "Data",
        "Networks",
        "Objective",
        "How it was run",
    ]
    assert "A & B" in page.text and "Second <line>." in page.text
    assert "Finished after 2 of 2 epochs in" in page.text
    # Numbers are those of the history.
    (row,) = page.row("accuracy")
    logged = history.history["accuracy"] + history.history["val_accuracy"]
    assert row[1:] == [f"{v:.4g}" for v in logged]
    assert page.row("student")[0][1:] == ["0.600", "0.141", *row_of(0.5, 0.7)]
    assert page.row("one")[0][1:] == ["0.250", "-", "-", "1"]
    assert " ".join(str(result).split()) in page.text
    # A picture for every log, one of the comparison, one of the user's.
    losses = ["loss", "distillation loss", "task loss", "accuracy"]
    assert sorted(page.pictures) == sorted([*losses, "", "Mine"])
    # Data, networks, terms and players.
    assert ["audio", "4", "float32", "student"] in page.row("audio")
    assert ["y", "one number", "int32", "-"] in page.row("y")
    assert "40 samples (arrays)" in page.text
    assert "Batches per epoch 5" in page.text
    assert "8 samples (arrays)" in page.text
    assert page.row("teacher")[0][3:] == ["image", "53", "frozen", "-"]
    assert page.row("student")[1][3:] == ["audio", "43", "43", "student"]
    assert page.row("task") == [
        ["task", "sparse_categorical_crossentropy", "0.1", "student"]
    ]
    assert ["student", "SGD", "0.25", "43"] in page.row("student")
    # Where it came from.
    assert f"Keras {keras.__version__}" in page.text
    assert f"Backend {keras.backend.backend()}" in page.text
    assert "Random seed 11" in page.text
    assert "Command" in page.text
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def row_of(low, high):
    """Student's t interval of two numbers, as text, and how many."""
    half = 12.7062 * (high - low) / 2
    middle = (low + high) / 2
    return [f"{middle - half:.3f} to {middle + half:.3f}", "2"]


@pytest.mark.parametrize(
    "error", [ValueError("what <i>went</i> wrong"), KeyboardInterrupt()]
)
def test_a_training_that_stops_leaves_its_page(tmp_path, quick, error):
    x, y = make_data()
    path = tmp_path / "report.html"
    with pytest.raises(type(error)):
        make().fit(
            x, y, epochs=5, verbose=0, callbacks=[RunReport(path), Stop(error)]
        )
    page = Page(path)
    said = f"Stopped by {type(error).__name__} after 2 of 5 epochs"
    assert said in page.text
    assert str(error) in page.text
    assert page.row("loss")


def test_names_cannot_break_the_page(tmp_path, quick):
    bad = '<b>"audio" & co'
    distiller = CrossModalDistiller(
        student=classifier(bad, 4), teacher=classifier("image", 6)
    )
    distiller.compile("sgd", distillation_loss={"<kd>": SoftTargets()})
    x, _ = make_data(image=6)
    x = {"image": x["image"], bad: np.ones((32, 4), "float32")}
    path = tmp_path / "<i>.html"
    report = RunReport(
        path,
        title="</title><script>alert(1)</script>",
        comparison={"</table>": [1, 2]},
        diagnostics={"<h1>": "| a | b |\n|:--|--:|\n| <td> | 1 |"},
    )
    distiller.fit(x, verbose=0, callbacks=[report])
    page = Page(path)
    assert "</title><script>alert(1)</script>" in page.text
    assert page.row(bad)[0] == [bad, "4", "float32", "student"]
    assert page.row("<td>") == [["<td>", "1"]]
    assert page.row("<kd>")[0][1] == "SoftTargets of logits"


def test_players_rates_and_numbers_that_are_not_finite(tmp_path):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.optimizer.optimizers[0].learning_rate = 0.5
            if epoch == 1:
                logs["task_loss"] = float("nan")

    distiller = make_two_players()
    distiller.compile(
        {"student": "sgd", "critic": keras.optimizers.Adam(0.125)},
        "sparse_categorical_crossentropy",
        loss_weights={"fool": 0.5},
    )
    x, y = make_data(audio=4)
    path = tmp_path / "report.html"
    calls = [Diverge(), RunReport(path)]
    distiller.fit(x, y, epochs=3, verbose=0, callbacks=calls)
    page = Page(path)
    assert "Not finite from epoch 2 on." in page.text
    assert ["fool", "-", "0.5", "student"] in page.row("fool")
    assert ["critic", "Adam", "0.125", "31"] in page.row("critic")
    (row,) = [r for r in page.row("student") if r[1] == "SGD"]
    assert row[2] == "0.01, at the end 0.5"


def test_without_fit(tmp_path, quick):
    path = tmp_path / "report.html"
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6)
    )
    assert distiller.report(path) == path
    page = Page(path)
    assert "Not trained." in page.text
    assert "The model is not compiled." in page.text
    assert ["audio", "4", "float32", "student"] in page.row("audio")
    # Without the callback, the last training.
    distiller.compile("sgd")
    x, _ = make_data(audio=4, image=6)
    distiller.fit(x, epochs=2, verbose=0)
    distiller.report(path)
    page = Page(path)
    assert "2 epochs." in page.text and "Not trained." not in page.text
    assert page.row("distillation_loss")
    # The histories of two seeds.
    runs = [{"loss": [3.0, 1.0]}, {"loss": [5.0, 2.0]}]
    RunReport(path, seed=5).write(distiller, runs)
    page = Page(path)
    assert page.row("loss") == [["loss", "4", "1.5"]]
    assert "Random seed 5" in page.text and "Means of 2 runs." in page.text


def test_other_models_and_data(tmp_path, quick):
    network = classifier("audio", 4)
    network.compile("adam", "mse")
    x, _ = make_data()
    batches = [(x["audio"][i : i + 8], np.zeros((8, 3))) for i in (0, 8)]

    def forever():
        while True:
            yield from batches

    path = tmp_path / "report.html"
    network.fit(
        forever(),
        steps_per_epoch=2,
        shuffle=False,
        verbose=0,
        callbacks=[RunReport(path)],
    )
    page = Page(path)
    assert page.row("model")[0][3:] == ["audio", "43", "43", "model"]
    assert "Batches per epoch 2" in page.text
    # Of a distiller what a batch had is known.
    distiller = make()
    both = [({"audio": a, "image": np.ones((8, 6))}, None) for a, _ in batches]
    batches = [(x, np.zeros(8, "int32")) for x, _ in both]
    report = RunReport(path)
    distiller.fit(forever(), steps_per_epoch=2, verbose=0, callbacks=[report])
    page = Page(path)
    assert page.row("image")[0][0:2] == ["image", "6"]
    assert page.row("image")[0][3] == "teacher"
    report = RunReport(path, data={"other": np.zeros((3, 2, 5), "int8")})
    report.write(distiller)
    assert page.row("y") and not Page(path).row("y")
    assert Page(path).row("other")[0][:3] == ["other", "2 × 5", "int8"]


def test_trouble_with_the_page_does_not_end_training(tmp_path, quick):
    def fail(model):
        raise RuntimeError("no result")

    x, y = make_data()
    path = tmp_path / "report.html"
    report = RunReport(path, diagnostics={"Late": fail})
    with pytest.warns(UserWarning, match="RuntimeError: no result"):
        make().fit(x, y, verbose=0, callbacks=[report])
    assert "Finished" in Page(path).text
    with pytest.raises(RuntimeError, match="no result"):
        RunReport(path, diagnostics={"Late": fail}).write(make())
    report = RunReport(tmp_path / "file" / "report.html")
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="was not written"):
        make().fit(x, y, verbose=0, callbacks=[report])


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    from keras_xkd.callbacks import run_report

    monkeypatch.setattr(run_report, "is_first_process", lambda: False)
    x, y = make_data()
    path = tmp_path / "report.html"
    make().fit(x, y, verbose=0, callbacks=[RunReport(path)])
    assert not path.exists()


def test_writing_takes_a_share_of_the_time(tmp_path, monkeypatch):
    from keras_xkd.callbacks import run_report

    now, written = [0.0], []
    clock = type("Clock", (), {"monotonic": staticmethod(lambda: now[0])})
    monkeypatch.setattr(run_report, "time", clock)

    def write(self, model, history=None):
        written.append(len(self.epochs))
        now[0] += 1.0  # A page takes a second, an epoch as well.

    monkeypatch.setattr(RunReport, "write", write)
    report = RunReport(tmp_path / "report.html")
    report.set_model(make())
    report.on_train_begin()
    for epoch in range(40):
        now[0] += 1.0
        report.on_epoch_end(epoch, {"loss": 1.0})
    report.on_train_end()
    assert written == [1, 10, 19, 28, 37, 40]


def test_bad_arguments(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="must be a file"):
        RunReport(tmp_path)
    for name in ("comparison", "diagnostics", "figures"):
        with pytest.raises(ValueError, match=f"`{name}` must be a dict"):
            RunReport(tmp_path / "a.html", **{name: [1]})
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="keras-xkd"):
        RunReport(tmp_path / "a.html")
