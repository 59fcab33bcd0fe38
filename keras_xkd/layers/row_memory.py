"""Where `ContrastiveMemory` finds its rows, and what it keeps of a batch.

Each function takes the rows of one side's memory and the batch's embeddings,
and returns `(positives, negatives, updated rows)`. Samples that `mask`, shape
`(batch, 1)`, marks as absent are not remembered.
"""

from keras import ops

from keras_xkd.losses.numerics import unit


def from_queue(rows, new, mask=None):
    """First in, first out: the oldest row is row 0."""
    length = rows.shape[0]
    # A copy: torch updates variables in place, and the gradient needs these.
    rows = ops.copy(ops.convert_to_tensor(rows))
    entering = new
    if mask is not None:
        # In the place of an absent sample a row that would leave comes back.
        entering = ops.where(mask > 0, new, rows[: ops.shape(new)[0]])
    kept = ops.stop_gradient(ops.concatenate([rows, entering])[-length:])
    return new, rows, kept


def from_bank(rows, new, ids, drawn, momentum, mask=None):
    """Row `ids[i]` belongs to sample `i`; rows `drawn[i]` are negatives."""
    rows = ops.convert_to_tensor(rows)
    old = ops.take(rows, ids, axis=0)
    moved = unit(momentum * old + (1 - momentum) * ops.stop_gradient(new))
    if mask is not None:
        moved = ops.where(mask > 0, moved, old)
    kept = ops.scatter_update(rows, ids[:, None], moved)
    return old, ops.take(rows, drawn, axis=0), kept
