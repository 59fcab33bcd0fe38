import numpy as np
import pytest

from keras_xkd.visualization import canvas
from keras_xkd.visualization import plot_comparison
from keras_xkd.visualization import seed_rows

SCORES = {"teacher": [0.9], "student": [0.5, 0.7, 0.9]}


def of_marker(axes, marker):
    return [
        line.get_xdata().tolist()
        for line in axes.lines
        if line.get_marker() == marker
    ]


def test_seeds_means_and_intervals():
    (axes,) = plot_comparison(SCORES, "recall").axes
    assert of_marker(axes, "o") == [[0.5, 0.7, 0.9]]
    means = of_marker(axes, "D")
    np.testing.assert_allclose(means, [[0.9], [0.7]])
    (interval,) = axes.containers
    ends = interval.lines[2][0].get_segments()[0][:, 0]
    half = 4.302653 * 0.2 / np.sqrt(3)  # Student's t with 2 degrees.
    np.testing.assert_allclose(ends, [0.7 - half, 0.7 + half], rtol=1e-6)
    assert [t.get_text() for t in axes.get_yticklabels()] == list(SCORES)
    assert [t.get_text() for t in axes.texts] == ["0.900", "0.700"]
    assert axes.get_xlabel() == "recall: seeds, mean and 95 % interval"
    top, bottom = axes.transData.transform([(0, 0), (0, 1)])[:, 1]
    assert top > bottom  # The first row is on top.


def test_coverage():
    def width(confidence):
        (axes,) = plot_comparison(SCORES, confidence=confidence).axes
        return np.ptp(axes.containers[0].lines[2][0].get_segments()[0][:, 0])

    assert width(0.5) == pytest.approx(2 * 0.8164966 * 0.2 / np.sqrt(3))
    assert width(0.5) < width(0.9) < width(0.99)


def test_what_the_dots_are():
    (axes,) = plot_comparison(SCORES, "recall", of="folds").axes
    assert axes.get_xlabel() == "recall: folds, mean and 95 % interval"


def test_one_number_each():
    (axes,) = plot_comparison({"a": 81.25, "b": [70]}, "accuracy (%)").axes
    assert not axes.containers
    assert axes.get_xlabel() == "accuracy (%)"
    assert [t.get_text() for t in axes.texts] == ["81.2", "70.0"]


def test_chance():
    (axes,) = plot_comparison(SCORES, chance=0.1).axes
    (line,) = [k for k in axes.lines if k.get_linestyle() == ":"]
    assert line.get_xdata() == [0.1, 0.1]
    assert line.get_color() == canvas.GREY
    assert axes.texts[-1].get_text() == "chance"


@pytest.mark.parametrize(
    ("values", "digits"),
    [([0.97, 0.1], 3), ([1.0], 2), ([93.4], 1), ([450], 0), ([0], 1)],
)
def test_three_digits(values, digits):
    assert seed_rows.digits_of(values) == digits


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ({}, {}, "a row at least"),
        ([0.1, 0.2], {}, "`scores` must be a dict"),
        ({"a": []}, {}, r"`scores\['a'\]` must have one number per seed"),
        ({"a": [[0.1]]}, {}, r"Received: shape \(1, 1\)"),
        ({"a": [0.1, np.nan]}, {}, r"`scores\['a'\]` must be finite"),
        ({"a": ["high"]}, {}, r"`scores\['a'\]` must hold numbers"),
        (SCORES, {"confidence": 95}, "between 0 and 1. Received: 95"),
        (SCORES, {"chance": np.inf}, "`chance` must be finite"),
    ],
)
def test_bad_input(scores, options, message):
    with pytest.raises(ValueError, match=message):
        plot_comparison(scores, **options)
