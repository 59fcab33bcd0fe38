from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.visualization import canvas
from keras_xkd.visualization import checks
from keras_xkd.visualization import items
from keras_xkd.visualization import matrices

CELL = 1.12  # Of a picture of size 1, with the room between.
ROW = 1.42  # With the line of text below.


@keras_xkd_export("keras_xkd.visualization.plot_retrieval")
def plot_retrieval(
    queries: Any,
    candidates: Any,
    query_items: Any,
    candidate_items: Any,
    query_labels: Any = None,
    candidate_labels: Any = None,
    show: int = 4,
    top: int = 5,
    ax: canvas.Axes | None = None,
) -> canvas.Figure:
    """Shows what is nearest to some queries, such as images to sounds.

    A row is a query, at the left, and the candidates of largest cosine
    similarity, the nearest first. Below each is its label and similarity. A
    right one has a solid green frame, a wrong one a dashed orange one. Right
    means the same label; without labels, the candidate of the same place, where
    there are as many candidates as queries.

    Args:
        queries: Embeddings, shape `(N, features)`. The first `show` are shown.
        candidates: Embeddings of the others, shape `(M, features)`.
        query_items: What to show of the queries: images of shape `(N, height,
            width, channels)` or spectrograms `(N, frames, bands)`, drawn with
            time to the right and low bands below. Square items without channels
            are images.
        candidate_items: The same for the candidates, M of them.
        query_labels: Labels of the queries, whole numbers or strings.
        candidate_labels: Labels of the candidates, by default the same.
        show: Number of queries.
        top: Number of candidates for each.
        ax: Axes of matplotlib, or None for a new figure.

    Returns:
        The figure, `ax.figure`.

    Raises:
        ValueError: If arrays do not fit together or are not finite.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.visualization import plot_retrieval
    >>> rng = np.random.default_rng(0)
    >>> sounds, images = rng.random((6, 20, 16)), rng.random((6, 8, 8, 1))
    >>> figure = plot_retrieval(
    ...     np.eye(6), np.eye(6), sounds, images, show=2, top=3
    ... )
    >>> len(figure.axes[0].images)  # Two queries and three candidates of each.
    8
    """
    canvas.check_axes(ax)
    queries = checks.matrix("queries", queries)
    candidates = checks.matrix("candidates", candidates)
    checks.same_width({"queries": queries, "candidates": candidates})
    for name, count in (("show", show), ("top", top)):
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(
                f"`{name}` must be a positive whole number. Received: {count}"
            )
    show, top = min(show, len(queries)), min(top, len(candidates))
    sizes = len(queries), len(candidates)
    right, captions = _relevant(query_labels, candidate_labels, sizes, show)
    similarity = matrices.cosine(queries[:show], candidates)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :top]
    # Only what is shown is made a picture of: data sets are large.
    needed, places = np.unique(nearest, return_inverse=True)
    places = places.reshape(nearest.shape)
    shown = _items("query_items", query_items, sizes[0], slice(show))
    others = _items("candidate_items", candidate_items, sizes[1], needed)
    if ax is None:
        size = (0.4 + 1.05 * (top + 1.3), 0.7 + 1.3 * show)
        _, ax = canvas.new(size=size)
    for row, found in enumerate(nearest):
        place = (0, row * ROW)
        _draw(ax, shown, row, place, captions[0][row])
        for rank, column in enumerate(found):
            place = (0.3 + (rank + 1) * CELL, row * ROW)
            caption = f"{captions[1][column]}{similarity[row, column]:.2f}"
            good = None if right is None else right[row, column]
            _draw(ax, others, places[row, rank], place, caption, good)
    _finish(ax, show, top, right is not None)
    return ax.figure


def _items(name, values, count, rows):
    """The pictures of some of the items, after a look at all."""
    values = np.atleast_1d(checks.to_array(values))
    if len(values) != count:
        raise ValueError(
            f"`{name}` must have one item for each of the {count} embeddings. "
            f"Received: {len(values)} items"
        )
    return items.pictures(name, values[rows])


def _relevant(labels, others, sizes, show):
    """Which candidates are right, or None, and what to write below items."""
    queries, candidates = sizes
    if labels is None and others is not None:
        raise ValueError(
            "`candidate_labels` need `query_labels`. Received: query_labels="
            "None"
        )
    if labels is None:
        own = np.arange(show)[:, None] == np.arange(candidates)
        right = own if queries == candidates else None
        return right, ([""] * queries, [""] * candidates)
    given = labels if others is None else others
    labels = checks.labels("query_labels", labels, queries)
    others = checks.labels("candidate_labels", given, candidates)
    if labels.dtype.kind != others.dtype.kind:
        raise ValueError(
            "`query_labels` and `candidate_labels` must be of one kind, whole "
            f"numbers or strings. Received: {labels.dtype} and {others.dtype}"
        )
    checks.all_labelled("query_labels", labels)
    checks.all_labelled("candidate_labels", others)
    captions = [str(k) for k in labels], [f"{k}: " for k in others]
    return labels[:show, None] == others, captions


def _draw(ax, pictures, number, place, caption, right=None):
    """An item in its frame, with the caption below."""
    from matplotlib.patches import Rectangle

    picture, look = pictures[0][number], pictures[1]
    ax.imshow(picture, extent=items.box(picture, *place), **look)
    if right is not None:
        color, style = (
            (canvas.GREEN, "-") if right else (canvas.ORANGE, (0, (3, 2)))
        )
        frame = Rectangle(
            np.subtract(place, 0.03),
            1.06,
            1.06,
            fill=False,
            edgecolor=color,
            linestyle=style,
            linewidth=2,
        )
        ax.add_patch(frame)
    x, y = place
    text = {"ha": "center", "va": "top", "fontsize": "small"}
    ax.text(x + 0.5, y + 1.07, caption, **text)


def _finish(ax, show, top, marked):
    """Headings, limits, and what the frames mean."""
    above = {"ha": "center", "va": "bottom", "fontsize": "small"}
    ax.text(0.5, -0.08, "query", **above)
    for rank in range(1, top + 1):
        x = 0.8 + rank * CELL
        ax.text(x, -0.08, f"{rank}" if rank > 1 else "nearest", **above)
    ax.axvline(0.15 + (1 + CELL) / 2, color=canvas.GREY, linewidth=0.8)
    ax.set_xlim(-0.06, 0.3 + top * CELL + 1.06)
    ax.set_ylim(show * ROW - 0.1, -0.35)
    ax.set_aspect("equal")
    ax.set_axis_off()
    if marked:
        text = "solid green: right; dashed orange: wrong"
        ax.set_title(text, loc="left", fontsize="small")
