import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from keras_xkd.diagnostics.modality_subsets import ModalitySubsets
from keras_xkd.visualization import canvas
from keras_xkd.visualization import plot_missing_modalities


def result(values, metrics=("accuracy",), confidence=0.95, name="net"):
    """What `modality_subsets` returns, with values by the names of a subset."""
    rows = [
        {
            "modalities": tuple(subset.split()),
            "samples": 10,
            **{metric: value for metric in metrics},
            **{f"{metric}_interval": ends for metric in metrics},
        }
        for subset, (value, ends) in values.items()
    ]
    return ModalitySubsets(rows, list(metrics), name, True, confidence)


FIRST = result(
    {
        "audio": (0.5, (0.4, 0.6)),
        "image": (0.75, (0.6, 0.8)),
        "audio image": (0.875, None),
    }
)
SECOND = result({"audio": (0.25, (0.1, 0.3)), "text": (0.125, (0.0, 0.2))})


def drawn(axes):
    """Values and intervals by place, and by colour."""
    points, intervals = {}, {}
    for line in axes.lines:
        color, x = to_hex(line.get_color()).upper(), list(line.get_xdata())
        place = line.get_ydata()[0]
        if line.get_linestyle() == "-":
            intervals[color, place] = x
        elif line.get_linestyle() != ":":
            points[color, place] = x[0]
    return points, intervals


def test_one_network():
    (axes,) = plot_missing_modalities(FIRST).axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["audio", "image", "audio + image"]
    blue = canvas.BLUE
    points, intervals = drawn(axes)
    assert points == {(blue, 0): 0.5, (blue, 1): 0.75, (blue, 2): 0.875}
    assert intervals == {(blue, 0): [0.4, 0.6], (blue, 1): [0.6, 0.8]}
    (full,) = [k for k in axes.lines if k.get_linestyle() == ":"]
    assert full.get_xdata() == [0.875, 0.875]
    texts = [t.get_text() for t in axes.texts]
    assert texts == ["0.500", "0.750", "0.875"]
    assert axes.get_xlabel() == "accuracy, with 95 % interval"
    assert axes.get_legend() is None


def test_several_networks():
    figure = plot_missing_modalities({"before": FIRST, "after": SECOND})
    (axes,) = figure.axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["audio", "image", "text", "audio + image"]
    points, intervals = drawn(axes)
    assert sorted(points.values()) == [0.125, 0.25, 0.5, 0.75, 0.875]
    assert len(intervals) == 4
    for (color, place), value in points.items():
        first = color == canvas.BLUE
        assert color == (canvas.BLUE if first else canvas.ORANGE)
        row = labels[round(place)].replace(" + ", " ")
        shown = FIRST if first else SECOND
        assert shown[tuple(row.split())]["accuracy"] == value
        assert abs(place - round(place)) < 0.3
        assert (place < round(place)) == first  # The first lies above.
    legend = [t.get_text() for t in axes.get_legend().get_texts()]
    assert legend == ["before", "after", "with all"]


def test_metric():
    other = result({"audio": (0.5, None)}, ["loss", "f1_score"], 0.9)
    axes = Figure().subplots()
    assert plot_missing_modalities(other, "f1_score", axes) is axes.figure
    assert axes.get_xlabel() == "f1 score, with 90 % interval"
    both = {"a": FIRST, "b": result({"audio": (1, None)}, ["f1", "accuracy"])}
    figure = plot_missing_modalities(both)
    assert figure.axes[0].get_xlabel().startswith("accuracy")


def test_the_method_of_the_result_draws_the_same():
    own = FIRST.plot()
    assert drawn(own) == drawn(plot_missing_modalities(FIRST).axes[0])
    axes = Figure().subplots()
    assert FIRST.plot(ax=axes) is axes


@pytest.mark.parametrize(
    ("results", "metric", "message"),
    [
        (FIRST, "f1", r"one of \['accuracy'\].*metric='f1'"),
        ({}, None, "`results` must be what"),
        ([FIRST], None, "`results` must be what"),
        ({"a": 0.5}, None, "`results` must be what"),
        (
            {"a": FIRST, "b": result({"audio": (1, None)}, ["f1"])},
            None,
            r"one of \[\], which all results have",
        ),
        (
            {"a": FIRST, "b": result({"audio": (1, None)}, confidence=0.9)},
            None,
            r"one `confidence`.*\[0.9, 0.95\]",
        ),
    ],
)
def test_bad_input(results, metric, message):
    with pytest.raises(ValueError, match=message):
        plot_missing_modalities(results, metric)
