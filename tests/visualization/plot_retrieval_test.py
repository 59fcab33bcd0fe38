import numpy as np
import pytest
from matplotlib.colors import to_hex

from keras_xkd.visualization import canvas
from keras_xkd.visualization import items
from keras_xkd.visualization import plot_retrieval

RNG = np.random.default_rng(0)
# Candidate j has the angle of its place; queries lie near 2, 0 and 1.
ANGLES = np.linspace(0, 1.2, 4)
CANDIDATES = np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1) * 3
QUERY_ANGLES = np.array([0.85, -0.1, 0.45])
QUERIES = np.stack([np.cos(QUERY_ANGLES), np.sin(QUERY_ANGLES)], 1)
IMAGES = RNG.random((4, 6, 6, 1))
SOUNDS = RNG.random((3, 10, 5))


def frames(figure):
    return [
        (to_hex(patch.get_edgecolor()).upper(), patch.get_linestyle() == "-")
        for patch in figure.axes[0].patches
    ]


RIGHT, WRONG = (canvas.GREEN, True), (canvas.ORANGE, False)


def test_nearest_first():
    figure = plot_retrieval(
        QUERIES, CANDIDATES, SOUNDS, IMAGES, [7, 8, 9], [9, 7, 7, 8], 2, 3
    )
    axes = figure.axes[0]
    shown = [np.array(image.get_array()) for image in axes.images]
    nearest = [[2, 3, 1], [0, 1, 2]]
    expected = []
    for query, found in enumerate(nearest):
        expected.append(SOUNDS[query].T[::-1])  # Low bands are below.
        expected += [IMAGES[k, ..., 0] for k in found]
    assert len(shown) == len(expected) == 8
    for one, other in zip(shown, expected):
        np.testing.assert_allclose(one, other)
    assert frames(figure) == [RIGHT, WRONG, RIGHT, WRONG, WRONG, WRONG]
    texts = [text.get_text() for text in axes.texts]
    similarity = np.cos(QUERY_ANGLES[:, None] - ANGLES)
    labels = [9, 7, 7, 8]
    expected = ["7"]
    expected += [f"{labels[k]}: {similarity[0, k]:.2f}" for k in nearest[0]]
    assert texts[:4] == expected
    assert texts[8:] == ["query", "nearest", "2", "3"]
    # From left to right, and the second query below the first.
    boxes = np.array([image.get_extent() for image in axes.images])
    assert np.all(np.diff(boxes[:4, 0]) > 0)
    assert boxes[4, 2] > boxes[0, 2]
    assert axes.yaxis_inverted()


def test_pairs_without_labels():
    figure = plot_retrieval(
        CANDIDATES, CANDIDATES[[0, 2, 1, 3]], IMAGES, IMAGES, top=1
    )
    assert frames(figure) == [RIGHT, WRONG, WRONG, RIGHT]
    figure = plot_retrieval(QUERIES, CANDIDATES, SOUNDS, IMAGES)
    assert not frames(figure)
    assert figure.axes[0].get_title(loc="left") == ""


def test_labels_are_those_of_the_queries_too():
    labels = ["a", "b", "a", "b"]
    figure = plot_retrieval(
        CANDIDATES, CANDIDATES, IMAGES, IMAGES, labels, show=1, top=3
    )
    assert frames(figure) == [RIGHT, WRONG, RIGHT]


def test_only_what_is_shown_is_looked_at():
    images = IMAGES.copy()
    images[0] = np.nan  # The farthest from the first query.
    figure = plot_retrieval(QUERIES, CANDIDATES, SOUNDS, images, top=2, show=1)
    assert len(figure.axes[0].images) == 3
    with pytest.raises(ValueError, match="finite"):
        plot_retrieval(QUERIES, CANDIDATES, SOUNDS, images, top=4)


def test_labels_must_be_there_and_of_one_kind():
    given = QUERIES, CANDIDATES, SOUNDS, IMAGES
    with pytest.raises(ValueError, match="`query_labels`.*without.*-1"):
        plot_retrieval(*given, [0, -1, 1], [0, 1, 2, 3])
    with pytest.raises(ValueError, match="`candidate_labels`.*without.*-1"):
        plot_retrieval(*given, [0, 0, 1], [0, 1, -1, 3])
    with pytest.raises(ValueError, match="one kind"):
        plot_retrieval(*given, ["a", "b", "c"], [0, 1, 2, 3])


def test_pictures_keep_their_shape():
    wide = RNG.random((3, 4, 8, 3))
    figure = plot_retrieval(QUERIES, CANDIDATES, wide, IMAGES)
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape[:2]
        assert (bottom - top) / (right - left) == pytest.approx(height / width)
        assert bottom > top
    assert figure.axes[0].get_aspect() == 1


def test_all_items_of_a_kind_share_a_range():
    (first, *_), look = items.pictures("x", SOUNDS)
    assert look == {"cmap": "magma", "vmin": SOUNDS.min(), "vmax": SOUNDS.max()}
    np.testing.assert_array_equal(first, SOUNDS[0].T[::-1])
    square = RNG.random((2, 5, 5))
    (first, *_), look = items.pictures("x", square)
    np.testing.assert_array_equal(first, square[0])
    assert look["cmap"] == "gray"


@pytest.mark.parametrize(
    ("scale", "shift", "back"), [(1, 0, 1), (255, 0, 255), (4, -2, 4)]
)
def test_colours_of_any_range(scale, shift, back):
    colors = RNG.random((2, 4, 4, 3))
    colors.flat[:2] = 0, 1
    (first, _), look = items.pictures("x", colors * scale + shift)
    np.testing.assert_allclose(first, (colors[0] * scale) / back, atol=1e-12)
    assert look == {}


def call(**changes):
    given = {
        "queries": QUERIES,
        "candidates": CANDIDATES,
        "query_items": SOUNDS,
        "candidate_items": IMAGES,
    }
    return plot_retrieval(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": QUERIES[:, :1]}, "project them first"),
        ({"candidates": CANDIDATES * np.nan}, "`candidates` must be finite"),
        ({"query_items": SOUNDS[1:]}, "each of the 3 embeddings.*2 items"),
        ({"candidate_items": IMAGES[..., 0, 0]}, "must be images.*4, 6"),
        ({"candidate_items": IMAGES[:, None]}, "Of a video, pass a frame"),
        ({"query_labels": [0]}, r"`query_labels` must have one label.*\(3,\)"),
        ({"query_labels": [0] * 3}, r"`candidate_labels` must have.*\(4,\)"),
        ({"candidate_labels": [0] * 4}, "need `query_labels`"),
        ({"show": 0}, "`show` must be a positive whole number. Received: 0"),
        ({"top": 1.5}, "`top` must be a positive whole number"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)
