from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks
from keras_xkd.visualization import classes
from keras_xkd.visualization import projections

NO_LABEL = -1  # As `keras_xkd.data.hide_labels` marks it.
PALE = "#D0D0D0"


@keras_xkd_export("keras_xkd.visualization.plot_embeddings")
def plot_embeddings(
    features: Any,
    labels: Any = None,
    method: Literal["pca", "tsne"] = "pca",
    names: Sequence[str] | Mapping[Any, str] | None = None,
    seed: int = 0,
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws a map of embeddings: colours are classes, markers modalities.

    All modalities are mapped together, so they must lie in one space, as those
    of a contrastive method do. Up to seven classes have a colour each, the next
    seven the same colours with hollow markers. With more than 14, shades of one
    sequential map follow the order of the classes: they show which classes are
    far apart in that order, not each class.

    Args:
        features: Array of shape `(samples, features)`, or a dict `{modality:
            array}` with as many features each.
        labels: Classes, whole numbers or strings, shape `(samples,)`: the same
            for all modalities, or a dict `{modality: labels}`. -1 is no label,
            drawn in light grey. Without labels a colour is a modality.
        method: `"pca"`, principal components; or `"tsne"`, which keeps
            neighbours together and whose distances mean little. t-SNE takes
            seconds for a thousand samples, minutes for ten thousand.
        names: Names of the classes: a list, with that of class `i` at place
            `i`, or a dict `{label: name}`.
        seed: Of the method.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If arrays do not fit together, are not finite, or have too
            few samples, if the method is unknown or a class has no name.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.visualization import plot_embeddings
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1], 20)
    >>> features = {
    ...     "audio": rng.normal(size=(40, 8)) + 4 * labels[:, None],
    ...     "image": rng.normal(size=(40, 8)) + 4 * labels[:, None],
    ... }
    >>> figure = plot_embeddings(features, labels, names=["cat", "dog"])
    >>> [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    ['audio', 'image', 'cat', 'dog']
    """
    canvas.check_axes(ax)
    if method not in projections.METHODS:
        raise ValueError(
            f"`method` must be one of {sorted(projections.METHODS)}. "
            f"Received: method={method!r}"
        )
    parts = _parts(features)
    shown, names = _classes(parts, labels, names)
    together = np.concatenate(list(parts.values()))
    projections.check(together)
    points, titles = projections.METHODS[method](together, seed)
    if ax is None:
        _, ax = canvas.new(size=(6.6, 4.8))
    fills = [*classes.fills(len(names)), (PALE, PALE)]  # The last is no label.
    size = float(np.clip(4000 / len(points), 8, 40))
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    for (name, own), marker, rows in zip(
        shown.items(), canvas.MARKERS, np.split(points, ends)
    ):
        faces, edges = zip(*(fills[k] for k in own))
        ax.scatter(
            *rows.T,
            s=size,
            marker=marker,
            facecolors=faces,
            edgecolors=edges,
            linewidths=0.8,
            alpha=0.8,
            label=name,
        )
    ax.set_xlabel(titles[0])
    ax.set_ylabel(titles[1])
    if method == "tsne":
        ax.set_xticks([])
        ax.set_yticks([])
    _legend(ax, shown, names, fills, labels is not None)
    return ax.figure


def _parts(features):
    """The embeddings of each modality, which share a space."""
    if not isinstance(features, Mapping):
        return {"": checks.matrix("features", features)}
    if not 1 <= len(features) <= len(canvas.MARKERS):
        raise ValueError(
            f"`features` must have 1 to {len(canvas.MARKERS)} modalities, as "
            f"many as there are markers. Received: {len(features)}"
        )
    parts = {
        m: checks.matrix(f"features[{m!r}]", x) for m, x in features.items()
    }
    checks.same_width(parts)
    return parts


def _classes(parts, labels, names):
    """Which class each sample is of, by modality, and what they are called."""
    if labels is None:
        each = {m: [k] * len(part) for k, (m, part) in enumerate(parts.items())}
        return each, list(parts)
    by_name = isinstance(labels, Mapping)
    if by_name and set(labels) != set(parts):
        raise ValueError(
            "`labels` by modality must have those of `features`, "
            f"{sorted(parts)}. Received: {sorted(labels)}"
        )
    own = {
        m: checks.labels(
            f"labels[{m!r}]" if by_name else "labels",
            labels[m] if by_name else labels,
            len(part),
        )
        for m, part in parts.items()
    }
    known = np.unique(np.concatenate(list(own.values())))
    known = known[known != NO_LABEL] if known.dtype.kind == "i" else known
    names = checks.class_names(known, names)
    place = {label: k for k, label in enumerate(known.tolist())}
    each = {m: [place.get(k, -1) for k in v.tolist()] for m, v in own.items()}
    return each, names


def _legend(ax, shown, names, fills, labelled):
    """Which marker is which modality, and which colour which class."""
    markers = dict(zip(shown, canvas.MARKERS))
    if not labelled:
        looks = [(m, fills[k], markers[m]) for k, m in enumerate(shown)]
        return classes.legend(ax, looks) if len(shown) > 1 else None
    looks = []
    if len(shown) > 1:
        grey = (canvas.GREY, canvas.GREY)
        looks = [(name, grey, marker) for name, marker in markers.items()]
    shape = "s" if looks else canvas.MARKERS[0]
    if classes.many(len(names)):
        classes.color_bar(ax, names)
    else:
        looks += [(name, fill, shape) for name, fill in zip(names, fills)]
    if any(-1 in own for own in shown.values()):
        looks.append(("no label", fills[-1], shape))
    if looks:
        classes.legend(ax, looks)
