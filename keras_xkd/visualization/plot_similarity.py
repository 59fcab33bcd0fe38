from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks
from keras_xkd.visualization import matrices


@keras_xkd_export("keras_xkd.visualization.plot_similarity")
def plot_similarity(
    rows: Any,
    columns: Any,
    labels: Any = None,
    row_name: str = "student",
    column_name: str = "teacher",
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Draws the cosine similarities of all embeddings with all others.

    Row i and column i are the same sample, where there are as many. With labels
    the samples are sorted by class, so that classes are blocks. The title says
    how similar those that belong together are on average, and all others. The
    colours reach from the least to the largest similarity; to compare two
    pictures, give both `figure.axes[0].images[0].set_clim(-1, 1)`.

    Args:
        rows: Array of shape `(samples, features)`.
        columns: Array of shape `(samples, features)`, with as many features.
        labels: Classes, shape `(samples,)`, of rows and columns alike.
        row_name: What the rows are embeddings of.
        column_name: What the columns are embeddings of.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If the arrays do not fit together or are not finite.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.visualization import plot_similarity
    >>> figure = plot_similarity(np.eye(3), np.eye(3))
    >>> figure.axes[0].get_title(loc="left")
    'pairs 1.00, others 0.00'
    """
    canvas.check_axes(ax)
    rows = checks.matrix("rows", rows)
    columns = checks.matrix("columns", columns)
    checks.same_width({"rows": rows, "columns": columns})
    classes = None
    if labels is not None:
        if len(rows) != len(columns):
            raise ValueError(
                "With `labels`, row i and column i must be the same sample. "
                f"Received: {len(rows)} rows and {len(columns)} columns"
            )
        classes = checks.labels("labels", labels, len(rows))
        checks.all_labelled("labels", classes)
        order = np.argsort(classes, kind="stable")
        rows, columns, classes = rows[order], columns[order], classes[order]
    similarity = matrices.cosine(rows, columns)
    if ax is None:
        _, ax = canvas.new(size=(5.6, 4.8))
    image = ax.imshow(similarity, cmap="viridis", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="cosine similarity")
    ax.set_xlabel(column_name)
    ax.set_ylabel(row_name)
    title = _title(similarity, classes)
    if title:
        ax.set_title(title, fontsize="medium", loc="left")
    if classes is not None:
        _mark(ax, classes)
    return ax.figure


def _title(similarity, classes):
    """The mean similarity of what belongs together, and of the others."""
    if similarity.shape[0] != similarity.shape[1]:
        return ""
    together, words = np.eye(len(similarity), dtype=bool), ("pairs", "others")
    if classes is not None:
        together = classes[:, None] == classes
        words = ("same class", "other classes")
    parts = zip(words, (similarity[together], similarity[~together]))
    return ", ".join(f"{w} {part.mean():.2f}" for w, part in parts if part.size)


def _mark(ax, classes):
    """Lines between the classes, and their labels at the middle of each."""
    known, starts = np.unique(classes, return_index=True)
    ends = np.append(starts[1:], len(classes))
    for start in starts[1:]:
        for line in (ax.axvline, ax.axhline):
            line(start - 0.5, color="white", linewidth=0.6)
    if len(known) <= matrices.MOST_NAMES:
        middles = (starts + ends - 1) / 2
        matrices.name_axes(ax, middles, [str(label) for label in known])
