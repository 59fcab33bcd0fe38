import types

import keras
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from keras_xkd.visualization import canvas
from keras_xkd.visualization import plot_terms

LOGS = {
    "accuracy": [0.5, 0.6, 0.7],
    "task_loss": [1.0, 0.5, 0.25],
    "loss": [3.0, 2.0, 1.0],
    "teacher_information": [0.1, 0.2, 0.3],
    "learning_rate": [1e-3, 1e-3, 1e-4],
    "val_loss": [3.5, 2.5, 1.5],
    "val_accuracy": [0.4, 0.5, 0.6],
}


def lines(figure, place=0):
    """What is drawn: `(colour, style, epochs, values)` of every line."""
    return [
        (
            to_hex(line.get_color()).upper(),
            line.get_linestyle(),
            list(line.get_xdata()),
            list(line.get_ydata()),
        )
        for line in figure.axes[place].lines
    ]


def legend(figure, place=0):
    return [t.get_text() for t in figure.axes[place].get_legend().get_texts()]


def test_losses_and_bounds_by_default():
    figure = plot_terms(LOGS)
    epochs = [1, 2, 3]
    losses = [
        (canvas.BLUE, "-", epochs, LOGS["loss"]),
        (canvas.BLUE, "--", epochs, LOGS["val_loss"]),
        (canvas.ORANGE, "-", epochs, LOGS["task_loss"]),
    ]
    assert lines(figure) == losses
    bound = (canvas.BLUE, "-", epochs, LOGS["teacher_information"])
    assert lines(figure, 1) == [bound]
    styles = ["training", "validation"]
    assert legend(figure) == ["loss", "task loss", *styles]
    assert legend(figure, 1) == ["teacher information"]
    left, right = figure.axes
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    assert left.get_ylabel() == "loss"
    assert right.get_ylabel() == "bound (nats)"
    assert all(tick == round(tick) for tick in left.get_xticks())
    # In the axes of somebody else all of it.
    host = Figure()
    assert plot_terms(LOGS, ax=host.subplots()) is host
    bound = (canvas.GREEN, *bound[1:])
    assert lines(host) == [*losses, bound]
    assert host.axes[0].get_ylabel() == "loss, bound (nats)"


def test_terms_by_name():
    figure = plot_terms(LOGS, ["task", "accuracy", "task_loss"])
    assert [values for *_, values in lines(figure)] == [
        LOGS["task_loss"],
        LOGS["accuracy"],
        LOGS["val_accuracy"],
    ]
    assert figure.axes[0].get_ylabel() == "loss, value"
    figure = plot_terms(LOGS, "accuracy")
    assert figure.axes[0].get_ylabel() == "accuracy"


def test_all_logs_where_there_is_no_loss():
    figure = plot_terms({"agreement": [0.5], "learning_rate": [0.1]})
    assert [values for *_, values in lines(figure)] == [[0.5]]
    assert list(figure.axes[0].get_xticks()) == [1]
    assert legend(figure) == ["agreement"]


@pytest.mark.parametrize("name", ["f1", "val_f1"])
def test_validation_alone(name):
    figure = plot_terms({"loss": [2.0, 1.0], "val_f1": [0.1, 0.2]}, name)
    assert lines(figure) == [(canvas.BLUE, "--", [1, 2], [0.1, 0.2])]


def test_validation_alone_of_every_second_epoch():
    run = types.SimpleNamespace(
        epoch=[0, 1, 2, 3], history={"val_f1": [0.1, 0.2]}
    )
    figure = plot_terms(run, "f1")
    assert lines(figure) == [(canvas.BLUE, "--", [2, 4], [0.1, 0.2])]


def test_a_metric_by_class_does_not_move_the_epochs():
    logs = {"loss": [2.0, 1.0], "f1": [np.ones(3), np.ones(3)]}
    figure = plot_terms(logs)
    assert [line[2] for line in lines(figure)] == [[1, 2]]


def test_seeds_are_a_mean_with_a_band():
    runs = np.random.default_rng(0).random((3, 4))
    figure = plot_terms([{"loss": run, "val_loss": run + 1} for run in runs])
    training, validation = lines(figure)
    np.testing.assert_allclose(training[3], runs.mean(0))
    np.testing.assert_allclose(validation[3], runs.mean(0) + 1)
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    sd = runs.std(0, ddof=1)
    for epoch in range(4):
        ends = band[band[:, 0] == epoch + 1, 1]
        assert ends.min() == pytest.approx(runs.mean(0)[epoch] - sd[epoch])
        assert ends.max() == pytest.approx(runs.mean(0)[epoch] + sd[epoch])
    assert legend(figure)[-1] == "mean ± SD of 3 runs"


def test_what_fit_returns():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    history = model.fit(
        x,
        x[:, :1],
        validation_data=(x, x[:, :1]),
        validation_freq=2,
        initial_epoch=3,
        epochs=8,
        verbose=0,
    )
    training, validation = lines(plot_terms(history))
    assert training[2] == [4, 5, 6, 7, 8]
    assert training[3] == history.history["loss"]
    assert validation[2] == [4, 6, 8]
    assert validation[3] == history.history["val_loss"]


def test_more_terms_than_colours():
    figure = plot_terms({f"t{i}_loss": [i, i + 1.0] for i in range(10)})
    looks = [
        (line.get_color(), line.get_markerfacecolor() == "white")
        for line in figure.axes[0].lines
    ]
    assert len(set(looks)) == 10
    assert [hollow for _, hollow in looks] == [False] * 7 + [True] * 3


@pytest.mark.parametrize(
    ("history", "terms", "message"),
    [
        ({}, None, "call `fit` first"),
        ([], None, "call `fit` first"),
        ({"loss": []}, None, "call `fit` first"),
        (3, None, "what `fit` returned"),
        (LOGS, "kd", r"There are: \['accuracy', 'learning_rate', 'loss'.*'kd'"),
        (LOGS, [], "`terms` must name logs"),
        ([LOGS, {"loss": [1.0, 2.0, 3.0]}], "task", r"all runs have.*\['task'"),
        ([{"loss": [1.0, 2.0]}, {"loss": [1.0]}], None, r"cut them to 1.*2, 1"),
        ({"loss": [1.0, np.nan]}, None, "'loss' must be finite.*value 2"),
        ({"loss": [1.0] * 3, "val_loss": [1.0]}, None, "several possible k"),
        ({"loss": [1.0] * 5, "val_loss": [1.0] * 3}, None, "no possible k"),
        ({"loss": [1.0], "f1": [np.ones(3)]}, "f1", r"one value per.*\(1, 3\)"),
    ],
)
def test_bad_input(history, terms, message):
    with pytest.raises(ValueError, match=message):
        plot_terms(history, terms)
