import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_xkd.visualization import plot_attention
from keras_xkd.visualization.attention_panels import overlay

RNG = np.random.default_rng(0)
IMAGE = RNG.random((8, 6, 3))
SOUND = RNG.normal(size=(10, 4))
VIDEO = RNG.random((12, 5, 6, 1))


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def shown(figure):
    """What is drawn, but the scale of the colours."""
    return [image.get_array() for image in figure.axes[0].images[:-1]]


def test_image():
    attention = RNG.random((8, 6))
    maps = {"before distillation": attention, "after": 1 - attention}
    figure = plot_attention(IMAGE, maps)
    assert isinstance(figure, Figure)
    assert texts(figure)[:3] == ["image", "before\ndistillation", "after"]
    item, before, after = shown(figure)
    np.testing.assert_allclose(item, IMAGE)
    assert before.shape == after.shape == (8, 6, 3)
    # From 0 to 255 as from 0 to 1; other values are stretched.
    (item, _) = shown(plot_attention((IMAGE * 255).round(), attention))
    np.testing.assert_allclose(item, IMAGE, atol=0.01)
    item = shown(plot_attention(IMAGE - 3, attention))[0]
    assert item.min() == 0 and item.max() == 1


def test_overlay_is_the_item_where_the_map_is_zero():
    found = overlay(np.full((1, 2, 3), 0.5), np.array([[0.0, 1.0]]))
    assert np.ptp(found[0, 0]) < 1e-9  # Grey.
    assert np.ptp(found[0, 1]) > 0.2
    # Brighter is more, on black and on white.
    for value in (0.0, 1.0):
        steps = overlay(np.full((1, 9, 3), value), np.linspace(0, 1, 9)[None])
        assert steps[0, -1].sum() > steps[0, 0].sum()


def test_spectrogram():
    attention = np.zeros((10, 4))
    attention[9, 0] = 1  # The last frame, the lowest band.
    figure = plot_attention(SOUND, {"map": attention})
    item, found = shown(figure)
    assert item.shape == found.shape == (4, 10, 3)
    np.testing.assert_allclose(
        np.argmax(item[..., 0]), np.argmax(SOUND.T[::-1])
    )
    colored = np.ptp(found, axis=-1) > 0.1
    assert np.argwhere(colored).tolist() == [[3, 9]]
    for text in ("spectrogram", "time (10 frames)", "frequency (4 bands)"):
        assert text in texts(figure)


def test_video():
    attention = np.zeros((12, 5, 6))
    attention[11] = 1
    figure = plot_attention(VIDEO, {"before": attention, "after": attention})
    found = shown(figure)
    assert len(found) == 3 * 8
    frames = [0, 2, 3, 5, 6, 8, 9, 11]
    for frame, picture in zip(frames, found):
        expected = VIDEO[frame] - VIDEO.min()
        expected = np.repeat(expected / np.ptp(VIDEO), 3, axis=-1)
        np.testing.assert_allclose(picture, expected)
    colored = [np.ptp(picture, axis=-1).max() > 0.1 for picture in found[8:16]]
    assert colored == [False] * 7 + [True]
    assert texts(figure)[:3] == ["video", "before", "after"]
    for frame in ("frame 0", *map(str, frames[1:])):
        assert frame in texts(figure)


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        ((8, 8), None, "image"),
        ((8, 8, 1), None, "image"),
        ((8, 4), None, "spectrogram"),
        ((5, 8, 9), None, "video"),
        ((5, 8, 9, 4), None, "video"),
        ((8, 8), "spectrogram", "spectrogram"),
        ((8, 4), "image", "image"),
        ((8, 4, 1), "spectrogram", "spectrogram"),
        ((2, 8, 3), "video", "video"),
    ],
)
def test_kinds(shape, kind, expected):
    positions = shape[:3] if expected == "video" else shape[:2]
    figure = plot_attention(np.ones(shape), np.zeros(positions), kind=kind)
    assert texts(figure)[0] == expected


def test_given_axes():
    figure = Figure()
    first, second = figure.subplots(1, 2)
    assert plot_attention(IMAGE, np.ones((8, 6)), ax=second) is figure
    assert second.images and not first.images and len(figure.axes) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": np.ones((2, 8, 6, 3, 1))}, "`item` must be one image"),
        ({"item": np.ones((8, 6, 5)), "kind": "image"}, "must be one image"),
        ({"item": np.full((8, 6, 3), np.nan)}, "`item` must be finite"),
        ({"kind": "picture"}, "`kind` must be one of"),
        ({"maps": {}}, "one map or more"),
        ({"maps": np.ones((6, 8))}, r"shape \(8, 6\)"),
        ({"maps": {"a": np.full((8, 6), 2.0)}}, "from 0 to 1"),
        ({"maps": {"a": np.full((8, 6), -0.1)}}, "from 0 to 1"),
        ({"ax": "left"}, "`ax` must be one"),
    ],
)
def test_bad_arguments(change, message):
    given = {"item": IMAGE, "maps": {"map": np.ones((8, 6))}}
    with pytest.raises(ValueError, match=message):
        plot_attention(**{**given, **change})
