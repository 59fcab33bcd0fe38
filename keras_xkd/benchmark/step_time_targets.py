"""What a training step may cost at most, and what it must compute."""

import keras

from keras_xkd.benchmark.table import table

NATIVE = 1.15
LOOP, LOOP_SMALL = 1.05, 1.5
PEER, PEER_MERGED = 0.85, 1.05
PLAYERS = 1.10  # Operations of AMID against those of its networks.


def target(method, size, name, merged=None):
    """The largest ratio that is still good, None where there is no target.

    Args:
        method, size: Of the workload.
        name: The alternative.
        merged: Whether the compiler merges the second forward pass of the
            student in `keras.distillation`.
    """
    if name == "native":
        return NATIVE
    if name == "loop":
        if size != "mlp":
            return LOOP
        return None if keras.backend.backend() == "torch" else LOOP_SMALL
    if name == "keras_distillation" and method == "features":
        return PEER_MERGED if merged else PEER
    return None


def judge(method, size, name, found, merged=None):
    """A verdict by the interval of a ratio.

    Example:

    >>> judge("kd", "conv", "loop", {"ratio": 1.0, "low": 0.9, "high": 1.04})
    '<= 1.05: met'
    >>> judge("kd", "conv", "loop", {"ratio": 1.0, "low": 0.9, "high": 1.1})
    '<= 1.05: likely'
    """
    bound = target(method, size, name, merged)
    if bound is None:
        return "-"
    if found["high"] <= bound:
        verdict = "met"
    elif found["low"] > bound:
        verdict = "missed"
    else:
        verdict = "likely" if found["ratio"] <= bound else "doubtful"
    return f"<= {bound}: {verdict}"


def is_merged(counts):
    """Whether `keras.distillation` computes nothing twice.

    The step of ours is one of the teacher and, with its backward pass, three
    of the student: one more forward pass would be a quarter more.
    """
    if "keras_distillation" not in counts:
        return False
    return counts["keras_distillation"] < 1.1 * counts["ours_same_inputs"]


def costs(results):
    """A table of the operations that JAX counts, None if there are none."""
    lines = []
    for found in results:
        counts = found.get("operations", {})
        for name, own, what in (
            ("networks", "ours", "forward and backward of its networks"),
            ("keras_distillation", "ours_same_inputs", "`keras.distillation`"),
        ):
            if name not in counts:
                continue
            share = counts[own] / counts[name]
            if name == "networks":
                verdict = "met" if share <= PLAYERS else "missed"
                verdict = f"<= {PLAYERS}: {verdict}"
            else:
                merged = "merged" if is_merged(counts) else "not merged"
                verdict = f"second forward {merged}"
            numbers = [f"{counts[own]:.0f}", f"{counts[name]:.0f}"]
            title = f"{found['size']}, {found['method']}"
            lines.append([title, what, *numbers, f"{share:.3f}", verdict])
    header = ["", "against", "ours, MFLOP", "its MFLOP", "ratio", ""]
    return table(header, lines) if lines else None
