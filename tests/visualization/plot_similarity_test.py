import numpy as np
import pytest

from keras_xkd.visualization import matrices
from keras_xkd.visualization import plot_similarity

RNG = np.random.default_rng(0)
ROWS, COLUMNS = RNG.normal(size=(2, 6, 4))
LABELS = [1, 0, 2, 1, 0, 0]


def cosine(rows, columns):
    return np.array(
        [
            [r @ c / np.linalg.norm(r) / np.linalg.norm(c) for c in columns]
            for r in rows
        ]
    )


def test_pairs():
    figure = plot_similarity(ROWS, COLUMNS)
    axes, bar = figure.axes
    shown = cosine(ROWS, COLUMNS)
    np.testing.assert_allclose(axes.images[0].get_array(), shown)
    others = shown[~np.eye(6, dtype=bool)].mean()
    title = f"pairs {np.diag(shown).mean():.2f}, others {others:.2f}"
    assert axes.get_title(loc="left") == title
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("student", "teacher")
    assert bar.get_ylabel() == "cosine similarity"


def test_classes_are_blocks():
    figure = plot_similarity(ROWS, COLUMNS, LABELS, "audio", "image")
    axes = figure.axes[0]
    order = [1, 4, 5, 0, 3, 2]
    shown = cosine(ROWS[order], COLUMNS[order])
    np.testing.assert_allclose(axes.images[0].get_array(), shown)
    block = np.equal.outer(np.sort(LABELS), np.sort(LABELS))
    assert axes.get_title(loc="left") == (
        f"same class {shown[block].mean():.2f}, "
        f"other classes {shown[~block].mean():.2f}"
    )
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == [1, 3.5, 5]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "1", "2"]
    upright = {line.get_xdata()[0] for line in axes.lines}
    assert {2.5, 4.5} <= upright
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("audio", "image")


def test_other_numbers_of_rows_and_columns():
    axes = plot_similarity(ROWS[:2], COLUMNS).axes[0]
    assert axes.images[0].get_array().shape == (2, 6)
    assert axes.get_title(loc="left") == ""


def test_one_class():
    axes = plot_similarity(ROWS, ROWS, ["a"] * 6).axes[0]
    assert axes.get_title(loc="left").startswith("same class")
    assert "other" not in axes.get_title(loc="left")


def test_cosine_of_zeros_and_of_extremes():
    x = np.array([[0.0, 0.0], [3e-200, 4e-200], [3e200, 4e200]])
    expected = [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    np.testing.assert_allclose(matrices.cosine(x, x), expected)


@pytest.mark.parametrize(
    ("rows", "columns", "labels", "message"),
    [
        (ROWS, COLUMNS[:, 1:], None, "project them first"),
        (ROWS, COLUMNS[0], None, r"`columns` must have shape"),
        (ROWS * np.inf, COLUMNS, None, "`rows` must be finite"),
        (ROWS[1:], COLUMNS, LABELS, "5 rows and 6 columns"),
        (ROWS, COLUMNS, LABELS[1:], r"`labels` must have one label per sample"),
        (ROWS, COLUMNS, [-1, -1, 0, 0, 1, 1], "`labels`.*without.*-1"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_bad_input(rows, columns, labels, message):
    with pytest.raises(ValueError, match=message):
        plot_similarity(rows, columns, labels)
