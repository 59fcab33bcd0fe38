"""How many tokens a network makes of how many inputs along time."""

import functools

import keras

# A network may need many inputs (sound), or be able to read only few.
_LENGTHS = (8, 64, 512, 4096, 32768)


def find_steps(inputs, tokens):
    """The rule `tokens(n) = per_step * (floor((n - field) / stride) + 1)`.

    Convolutions and pooling, with padding or without, one after another,
    always follow such a rule along time; so do patches of frames. Without
    padding a step reads `field` inputs; with it, `field` is as if it read
    only the first ones. The rule is found from the shapes that the graph gives
    for several lengths; nothing is computed.

    Args:
        inputs: The symbolic inputs of a network, a list; `(batch, n, ...)`.
        tokens: What the network returns, symbolic, `(batch, tokens, ...)`.

    Returns:
        A dict of integers `stride`, `field` and `per_step`; empty if the
        network follows another rule or has one length only.
    """
    function = keras.Function(inputs, tokens)

    @functools.cache
    def count(length):
        """How many tokens there are for so many inputs, 0 if unknown."""

        def with_length(x):
            size = length if x.shape[1] is None else x.shape[1]
            return keras.KerasTensor((1, size, *x.shape[2:]), x.dtype)

        try:
            found = function.compute_output_spec([*map(with_length, inputs)])
        except Exception:  # Whatever layers do with lengths they cannot read.
            return 0
        return found.shape[1] or 0

    rules = (_rule(count, length) for length in _LENGTHS)
    return next(filter(None, rules), {})


def _rule(count, length):
    """The rule around a length and its double, or None."""
    if count(length) < 1:
        return None
    first = _next_change(count, length)
    second = first and _next_change(count, first)
    if not second:
        return None
    stride, per_step = second - first, count(second) - count(first)
    if per_step < 1:
        return None
    field = first - stride * (count(first) // per_step - 1)
    for n in (length, first, second - 1, second, 2 * length + 1):
        if count(n) != per_step * ((n - field) // stride + 1):
            return None
    return {"stride": stride, "field": field, "per_step": per_step}


def _next_change(count, start):
    """The next length with another number of tokens, or None if it is far."""
    before, same, step = count(start), start, 1
    while count(same + step) == before:
        same, step = same + step, 2 * step
        if same > 2 * start:
            return None
    other = same + step
    while other - same > 1:
        middle = (same + other) // 2
        if count(middle) == before:
            same = middle
        else:
            other = middle
    return other
