"""What all pictures share: the canvas, and what they must not change."""

import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from keras_xkd import visualization
from keras_xkd.visualization import canvas
from keras_xkd.visualization import classes

EYE = np.eye(4)
ITEMS = np.random.default_rng(0).random((4, 8, 8, 1))
# One call of each function that draws numbers.
CALLS = {
    "plot_comparison": ({"a": [1.0, 2.0]},),
    "plot_confusion": ([0, 1], [0, 1]),
    "plot_embeddings": (EYE, [0, 0, 1, 1]),
    "plot_retrieval": (EYE, EYE, ITEMS, ITEMS),
    "plot_similarity": (EYE, EYE),
    "plot_terms": ({"loss": [2.0, 1.0]},),
}


@pytest.mark.parametrize("name", CALLS)
def test_own_figure_given_axes_and_no_global_change(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    plot = getattr(visualization, name)
    before = dict(matplotlib.rcParams)
    figure = plot(*CALLS[name])
    assert isinstance(figure, Figure)
    assert figure.axes[0].has_data()
    host = Figure()
    left, right = host.subplots(1, 2)
    assert plot(*CALLS[name], ax=right) is host
    assert right.has_data()
    assert not left.has_data()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", CALLS)
def test_axes_must_be_axes(name):
    with pytest.raises(ValueError, match="`ax` must be one `Axes`.*Figure"):
        getattr(visualization, name)(*CALLS[name], ax=Figure())


@pytest.mark.parametrize("name", CALLS)
def test_without_matplotlib(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-xkd\[viz\]"):
        getattr(visualization, name)(*CALLS[name])


def test_the_command_line_draws_without_keras():
    # As `python -m keras_xkd` begins: see `keras_xkd/__init__.py`.
    code = (
        "import sys\n"
        "sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'keras_xkd']\n"
        "import keras_xkd.benchmark.backends\n"
        "assert 'keras_xkd.visualization.canvas' in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Linear RGB as dichromats see it (Vienot, Brettel and Mollon, 1999).
DICHROMATS = {
    "none": np.eye(3),
    "protanopia": [
        [0.11238, 0.88762, 0],
        [0.11238, 0.88762, 0],
        [0.00401, -0.00401, 1],
    ],
    "deuteranopia": [
        [0.29275, 0.70725, 0],
        [0.29275, 0.70725, 0],
        [-0.02234, 0.02234, 1],
    ],
}
XYZ = [
    [0.4124, 0.3576, 0.1805],
    [0.2126, 0.7152, 0.0722],
    [0.0193, 0.1192, 0.9505],
]


def seen(color, eye):
    """CIE L*a*b* of a colour, as an eye sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(
        rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
    )
    linear = np.clip(np.array(DICHROMATS[eye]) @ linear, 0, 1)
    x, y, z = np.cbrt(np.maximum(XYZ @ linear / [0.9505, 1, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", DICHROMATS)
def test_colours_can_be_told_apart(eye):
    colors = [seen(color, eye) for color in (*canvas.COLORS, "white")]
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)]
    # Two of the default colours of matplotlib are 6 apart, "C1" and "C2".
    assert min(gaps) > 15
    default = [seen(color, "protanopia") for color in ("C1", "C2")]
    assert np.linalg.norm(np.subtract(*default)) < 6


@pytest.mark.parametrize("count", [1, 7, 8, 14, 15, 40])
def test_every_class_looks_different(count):
    fills = classes.fills(count)
    assert len(set(fills)) == len(fills) == count
    assert classes.many(count) == (count > 14)
    assert [face == "white" for face, _ in fills] == [
        count <= 14 and place >= 7 for place in range(count)
    ]


def test_shades_grow_lighter_with_the_class():
    lightness = [seen(edge, "none")[0] for _, edge in classes.fills(30)]
    assert np.all(np.diff(lightness) > 0)
    assert lightness[-1] < 90
