import numpy as np
import pytest

from keras_xkd.visualization import plot_confusion

TRUE = [0, 0, 0, 0, 1, 1]
PREDICTED = [0, 0, 0, 1, 1, 0]


def cells(figure):
    """The numbers in the cells by place, and whether they are white."""
    return {
        tuple(map(int, text.get_position()[::-1])): text.get_text()
        for text in figure.axes[0].texts
    }


def names(figure):
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == [t.get_text() for t in figure.axes[0].get_xticklabels()]
    return labels


def test_percent_of_the_true_class():
    figure = plot_confusion(TRUE, PREDICTED)
    axes, bar = figure.axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25], [50, 50]])
    assert axes.images[0].get_clim() == (0, 100)
    expected = {(0, 0): "75", (0, 1): "25", (1, 0): "50", (1, 1): "50"}
    assert cells(figure) == expected
    assert [t.get_color() for t in axes.texts] == ["white"] + ["black"] * 3
    assert names(figure) == ["0", "1"]
    assert axes.get_ylabel() == "true class"
    assert axes.get_xlabel() == "predicted class"
    assert axes.get_title(loc="left") == "66.7 % of 6 right"
    assert bar.get_ylabel() == "% of the true class"


def test_counts():
    figure = plot_confusion(TRUE, PREDICTED, normalize=False)
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, [[3, 1], [1, 1]])
    assert figure.axes[1].get_ylabel() == "samples"


def test_logits():
    logits = np.eye(3)[PREDICTED] + 0.1
    figure = plot_confusion(np.array(TRUE)[:, None], logits)
    assert names(figure) == ["0", "1", "2"]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[75, 25, 0], [50, 50, 0], [0, 0, 0]])
    # No percent of no samples.
    assert {row for row, _ in cells(figure)} == {0, 1}


def test_names():
    figure = plot_confusion(TRUE, PREDICTED, ["cat", "dog", "cow"])
    assert names(figure) == ["cat", "dog", "cow"]
    figure = plot_confusion([4, 2], [4, 2], {2: "two", 4: "four", 3: "three"})
    assert names(figure) == ["two", "three", "four"]
    figure = plot_confusion(["b", "a"], ["a", "a"])
    assert names(figure) == ["a", "b"]
    assert cells(figure)[1, 0] == "100"


def test_long_names_are_aslant():
    def rotation(names):
        figure = plot_confusion(TRUE, PREDICTED, names)
        return figure.axes[0].get_xticklabels()[0].get_rotation()

    assert rotation(["cat", "dog"]) == 0
    assert rotation(["playing the violin", "playing the cello"]) == 45


def test_many_classes_have_no_numbers():
    figure = plot_confusion(range(21), range(21))
    assert not figure.axes[0].texts
    assert len(names(figure)) == 21
    figure = plot_confusion(range(41), range(41))
    assert len(figure.axes[0].get_yticklabels()) < 30


@pytest.mark.parametrize(
    ("y_true", "y_pred", "names", "message"),
    [
        (TRUE, PREDICTED[1:], None, r"`y_pred` must have one label.*\(5,\)"),
        (TRUE, np.ones((5, 2)), None, "a row for each of the 6 labels"),
        (TRUE, np.full((6, 2), np.nan), None, "`y_pred` must be finite"),
        (TRUE, ["a"] * 6, None, "of one kind"),
        ([-1, 0], [0, 0], None, "without a label"),
        ([0, 0.5], [0, 0], None, "whole numbers or strings. Received: 0.5"),
        ([], [], None, "`y_true` must have one label per sample"),
        (TRUE, PREDICTED, ["a"], r"Missing: \[1\]"),
    ],
)
def test_bad_input(y_true, y_pred, names, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion(y_true, y_pred, names)
