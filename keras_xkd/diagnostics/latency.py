"""How long calls take: medians of interleaved repetitions."""

import math
import statistics
import time

import numpy as np

WARM_UP = 3


def interleaved(calls, repeats):
    """Seconds of every call, one after the other in changing order.

    Whatever else the machine does then, slows all of them alike. The first
    calls, in which functions are compiled, do not count.

    Args:
        calls: A dict `{name: function without arguments}`, which return when
            the result is there.
        repeats: How often each is timed.

    Returns:
        A dict `{name: array of seconds}`.
    """
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    names, seconds = list(calls), {name: [] for name in calls}
    for repeat in range(repeats):
        start = repeat % len(names)
        for name in names[start:] + names[:start]:
            before = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - before)
    return {name: np.array(values) for name, values in seconds.items()}


def median_interval(values, confidence):
    """The median, and an interval of it that assumes no distribution.

    The ends are order statistics: how many of `n` values lie below the median
    is binomial with probability one half. With too few values for that, the
    ends are the smallest and the largest.

    Example:

    >>> median_interval(np.arange(1, 11), 0.95)
    (5.5, (2.0, 9.0))
    """
    values = np.sort(np.asarray(values, "float64"))
    n, tail = len(values), (1 - confidence) / 2
    below, rank = 0.5**n, 0
    while below <= tail:
        rank += 1
        below += math.comb(n, rank) * 0.5**n
    low = values[max(rank - 1, 0)]
    high = values[min(n - rank, n - 1)]
    return statistics.median(values.tolist()), (float(low), float(high))
