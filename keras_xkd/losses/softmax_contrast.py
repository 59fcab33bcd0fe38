"""The formulas of the losses that tell a row from the others of its batch.

Rows have length one. What is compared is computed for blocks of rows, see
`chunks.by_rows`, and is 0 for rows that are not `valid`.
"""

from keras import ops

from keras_xkd.losses import checks
from keras_xkd.losses import chunks
from keras_xkd.losses import numerics


def unit_rows(y_true, y_pred, mask, *temperatures):
    """Which rows take part, and both sides' rows, checked."""
    checks.check_temperature(*temperatures)
    t, s = numerics.upcast(y_true, y_pred)
    checks.check_rows(t, s, same_width=True)
    return numerics.unit_rows(mask, t, s)


def contrast_sides(valid, t, s, temperature, symmetric, chunk_size):
    """`InfoNCE`: the rows of one side against those of the other."""

    def product(rows, candidates):
        return numerics.products(rows, candidates) / temperature

    def contrast(s_rows, t_rows, s, t):
        logits = product(s_rows, t)
        values = numerics.log_total(logits, valid)
        if symmetric:  # Of all rows, one product serves both directions.
            other = product(t_rows, s) if chunk_size else ops.transpose(logits)
            values = (values + numerics.log_total(other, valid)) / 2
        if chunk_size is None:
            return values - ops.diagonal(logits)
        return values - ops.sum(s_rows * t_rows, axis=1) / temperature

    return chunks.by_rows(contrast, (s, t), (s, t), (), chunk_size) * valid


def contrast_views(valid, one, two, temperature, chunk_size):
    """`NTXent`: the rows of both sides against all others of both."""
    index = ops.arange(ops.shape(one)[0], dtype="int32")

    def product(rows, candidates):
        return numerics.products(rows, candidates) / temperature

    def normalizer(rows, across, same, rows_index):
        itself = rows_index[:, None] == index[None]
        within = ops.where(itself, numerics.NEVER, product(rows, same))
        logits = ops.concatenate([across, within], axis=1)
        return numerics.log_total(logits, ops.concatenate([valid, valid]))

    def contrast(one_rows, two_rows, one, two, rows_index):
        across = product(one_rows, two)
        # Of all rows, one product serves both sides.
        back = product(two_rows, one) if chunk_size else ops.transpose(across)
        values = normalizer(one_rows, across, one, rows_index)
        values = (values + normalizer(two_rows, back, two, rows_index)) / 2
        if chunk_size is None:
            return values - ops.diagonal(across)
        return values - ops.sum(one_rows * two_rows, axis=1) / temperature

    sides = (one, two)
    return chunks.by_rows(contrast, sides, sides, (index,), chunk_size) * valid


def contrast_shares(valid, t, s, keys, temperatures, chunk_size):
    """`SimilarityDistribution`: cross-entropy of the sides' similarities."""
    t = ops.stop_gradient(t)
    keys = t[:0] if keys is None else ops.cast(keys, t.dtype)
    candidates = ops.concatenate([t, keys])
    among = ops.concatenate([valid > 0, ops.any(keys != 0, axis=1)])

    def log_shares(rows, temperature):
        logits = numerics.products(rows, candidates) / temperature
        return ops.log_softmax(ops.where(among[None], logits, numerics.NEVER))

    def cross_entropy(s, t):
        p = ops.exp(log_shares(t, temperatures[0]))
        return -ops.sum(p * log_shares(s, temperatures[1]), axis=1)

    return chunks.by_rows(cross_entropy, (s,), (), (t,), chunk_size) * valid
