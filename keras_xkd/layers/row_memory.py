"""Where `ContrastiveMemory` finds its rows, and what it keeps of a batch.

Each function takes the rows of one side's memory and the batch's embeddings,
and returns `(positives, old rows, updated rows)`. Samples that `mask`, shape
`(batch, 1)`, marks as absent are not remembered.
"""

from keras import ops

from keras_xkd.losses.numerics import unit


def from_queue(rows, new, mask=None):
    """First in, first out: the oldest row is row 0."""
    # A copy: torch updates variables in place, and the gradient needs these.
    rows = ops.copy(ops.convert_to_tensor(rows))
    return new, rows, enqueue(rows, new, mask)


def enqueue(rows, new, mask=None):
    """The queue after a batch of any size: as many rows, the last that came."""
    length = rows.shape[0]
    if mask is None:
        kept = ops.concatenate([rows, new])[-length:]
    else:
        # Those that are there come first, in their order: the sort is stable.
        absent = ops.cast(mask[:, 0] <= 0, "int32")
        new = ops.take(new, ops.argsort(absent), axis=0)
        last = ops.arange(length, dtype="int32") + ops.sum(1 - absent)
        kept = ops.take(ops.concatenate([rows, new]), last, axis=0)
    return ops.stop_gradient(kept)


def from_bank(rows, new, ids, momentum, mask=None):
    """Row `ids[i]` belongs to sample `i`."""
    rows = ops.convert_to_tensor(rows)
    old = ops.take(rows, ids, axis=0)
    moved = unit(momentum * old + (1 - momentum) * ops.stop_gradient(new))
    if mask is not None:
        moved = ops.where(mask > 0, moved, old)
    kept = ops.scatter_update(rows, ids[:, None], moved)
    return old, rows, kept
