import sys

import keras
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.manifold import trustworthiness

from keras_xkd.visualization import canvas
from keras_xkd.visualization import plot_embeddings

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 10)
FEATURES = RNG.normal(size=(30, 6)) + 5 * np.eye(6)[LABELS]
PAIR = {"audio": FEATURES, "image": FEATURES + RNG.normal(size=(30, 6))}


def points(figure):
    return [np.array(c.get_offsets()) for c in figure.axes[0].collections]


def legend(figure):
    return [t.get_text() for t in figure.axes[0].get_legend().get_texts()]


def edges(figure, part=0):
    found = figure.axes[0].collections[part].get_edgecolors()
    return [to_hex(color).upper() for color in found]


def test_principal_components():
    figure = plot_embeddings(FEATURES)
    centred = FEATURES - FEATURES.mean(0)
    _, s, v = np.linalg.svd(centred, full_matrices=False)
    (found,) = points(figure)
    np.testing.assert_allclose(abs(found), abs(centred @ v[:2].T), atol=1e-8)
    share = 100 * s**2 / np.sum(s**2)
    axes = figure.axes[0]
    assert axes.get_xlabel() == f"PC 1 ({share[0]:.0f} % of variance)"
    assert axes.get_ylabel() == f"PC 2 ({share[1]:.0f} % of variance)"
    assert axes.get_legend() is None
    assert set(edges(figure)) == {canvas.BLUE}


def test_colour_is_class_and_marker_is_modality():
    figure = plot_embeddings(PAIR, LABELS, names=["cat", "dog", "cow"])
    together = points(plot_embeddings(np.concatenate([*PAIR.values()])))[0]
    np.testing.assert_allclose(np.concatenate(points(figure)), together)
    expected = [canvas.COLORS[k] for k in LABELS]
    assert edges(figure, 0) == edges(figure, 1) == expected
    circle, triangle = (
        c.get_paths()[0].vertices for c in figure.axes[0].collections
    )
    assert circle.shape != triangle.shape
    assert legend(figure) == ["audio", "image", "cat", "dog", "cow"]


def test_modalities_without_labels_have_colours():
    figure = plot_embeddings(PAIR)
    assert set(edges(figure, 0)) == {canvas.BLUE}
    assert set(edges(figure, 1)) == {canvas.ORANGE}
    assert legend(figure) == ["audio", "image"]


def test_unpaired_modalities_have_labels_of_their_own():
    parts = {"audio": FEATURES[:20], "text": FEATURES[5:]}
    figure = plot_embeddings(
        parts,
        {"audio": LABELS[:20], "text": LABELS[5:]},
        names={0: "a"} | {1: "b", 2: "c"},
    )
    assert [len(p) for p in points(figure)] == [20, 25]
    assert edges(figure, 0) == [canvas.COLORS[k] for k in LABELS[:20]]
    assert edges(figure, 1) == [canvas.COLORS[k] for k in LABELS[5:]]


def test_words_and_missing_labels():
    figure = plot_embeddings(FEATURES, np.array(["cat", "dog", "cow"])[LABELS])
    assert legend(figure) == ["cat", "cow", "dog"]
    hidden = np.where(LABELS == 1, -1, LABELS)
    figure = plot_embeddings(FEATURES, hidden[:, None])
    assert legend(figure) == ["0", "2", "no label"]
    found = np.array(edges(figure))
    assert set(found[LABELS == 1]).isdisjoint(found[LABELS != 1])


@pytest.mark.parametrize("count", [10, 20])
def test_more_classes_than_colours(count):
    labels = np.arange(30) % count
    figure = plot_embeddings(FEATURES, labels)
    faces = figure.axes[0].collections[0].get_facecolors()
    looks = [(*face, *edges(figure)[k]) for k, face in enumerate(faces)]
    assert len(set(looks)) == count
    if count == 10:
        assert legend(figure) == [str(k) for k in range(10)]
    else:
        assert figure.axes[0].get_legend() is None
        assert figure.axes[1].get_ylabel() == "class"
        shown = [t.get_text() for t in figure.axes[1].get_yticklabels()]
        assert shown[0] == "0"
        assert shown[-1] == "19"


def test_tsne():
    figure = plot_embeddings(FEATURES, LABELS, method="tsne", seed=1)
    (found,) = points(figure)
    assert trustworthiness(FEATURES, found, n_neighbors=5) > 0.9
    assert figure.axes[0].get_xlabel() == "t-SNE 1"
    assert not len(figure.axes[0].get_xticks())
    again = points(plot_embeddings(FEATURES, method="tsne", seed=1))[0]
    np.testing.assert_array_equal(found, again)


def test_tensors():
    features = keras.ops.convert_to_tensor(FEATURES, "float32")
    labels = keras.ops.convert_to_tensor(LABELS)
    figure = plot_embeddings({"a": features}, labels)
    expected = points(plot_embeddings(FEATURES))[0]
    np.testing.assert_allclose(points(figure)[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (FEATURES, {"method": "umap"}, r"\['pca', 'tsne'\].*'umap'"),
        (FEATURES, {"labels": LABELS[1:]}, r"shape `\(30,\)`.*\(29,\)"),
        (FEATURES, {"labels": LABELS + 0.5}, "whole numbers or strings"),
        (FEATURES, {"labels": LABELS, "names": ["a"]}, r"Missing: \[1, 2\]"),
        (FEATURES[:, 0], {}, "one vector for each sample"),
        (FEATURES * np.nan, {}, "`features` must be finite"),
        (FEATURES[:2], {}, "3 samples or more"),
        (FEATURES[:, :1], {}, "2 features or more"),
        (np.ones((5, 4)), {}, "all the same"),
        ([["a", "b"]], {}, "must hold numbers"),
        ({}, {}, "1 to 8 modalities"),
        ({"a": FEATURES, "b": FEATURES[:, 1:]}, {}, "project them first"),
        (PAIR, {"labels": {"audio": LABELS}}, r"\['audio', 'image'\]"),
    ],
)
def test_bad_input(features, options, message):
    with pytest.raises(ValueError, match=message):
        plot_embeddings(features, **options)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_without_scikit_learn(method, monkeypatch):
    for name in ("sklearn.decomposition", "sklearn.manifold"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"scikit-learn.*keras-xkd\[viz\]"):
        plot_embeddings(FEATURES, method=method)
