"""What the measurements of the backends say: medians, ratios, differences."""

import itertools

import numpy as np

from keras_xkd.benchmark.statistics import ratio


def summarise(measured):
    """Results of one method and size.

    Args:
        measured: A dict `{backend: [a dict for each seed]}`: the answers of
            the worker, `"made"`, `"steps"`, `"turns"` and `"end"`.

    Returns:
        A dict.

        - `backends`: a dict for each that finished. `milliseconds`: the time of
          a step, averaged over each turn of each seed; `median`, of these;
          `first_step`: seconds, with compilation, for each seed;
          `parameters`; `batch_size`; `host_memory`, `training_memory` (what it
          grew by since the imports) and `device_memory`: bytes at most, of the
          first seed; `losses`: of the first steps, for each seed;
          `turn_losses`: the mean of each turn, the last of which is the
          `final_loss`; `accuracy`.
        - `ratios`: for each pair of backends, the ratio of their medians, with
          a 95 % interval: turns that were taken side by side are drawn
          together.
        - `differences`: the largest difference between two backends, of any
          seed: of the loss of the `first` step, of the `curve` of the first
          steps, of the loss at the `end`, and of the `accuracy`.
    """
    backends = {name: _backend(own) for name, own in measured.items()}
    pairs = itertools.combinations(backends, 2)
    return {
        "backends": backends,
        "ratios": {
            f"{b} / {a}": ratio(
                backends[b]["milliseconds"], backends[a]["milliseconds"]
            )
            for a, b in pairs
        },
        "differences": differences(backends),
    }


def _backend(seeds):
    made, end = seeds[0]["made"], seeds[0]["end"]
    times = [
        1e3 * turn["seconds"] / turn["steps"]
        for seed in seeds
        for turn in seed["turns"]
    ]
    growth = None
    if end["host_memory"] is not None:
        growth = end["host_memory"] - made["host_memory"]
    return {
        "milliseconds": times,
        "median": float(np.median(times)),
        "first_step": [seed["steps"][0]["seconds"] for seed in seeds],
        "preparation": [seed["made"]["seconds"] for seed in seeds],
        "parameters": made["parameters"],
        "batch_size": made["batch_size"],
        "host_memory": end["host_memory"],
        "training_memory": growth,
        "device_memory": end["device_memory"],
        "losses": [[step["loss"] for step in s["steps"]] for s in seeds],
        "turn_losses": [[turn["loss"] for turn in s["turns"]] for s in seeds],
        "final_loss": [seed["turns"][-1]["loss"] for seed in seeds],
        "accuracy": [seed["end"]["accuracy"] for seed in seeds],
    }


def differences(backends):
    """The largest differences between any two backends.

    Example:

    >>> one = {"losses": [[2.0, 1.0]], "final_loss": [0.5], "accuracy": [0.75]}
    >>> differences({"jax": one, "torch": {**one, "losses": [[2.0, 1.5]]}})
    {'first': 0.0, 'curve': 0.5, 'end': 0.0, 'accuracy': 0.0}
    """
    if len(backends) < 2:
        return {}

    def largest(key, *places):
        values = [np.array(own[key])[places] for own in backends.values()]
        return float(np.max(np.ptp(values, axis=0)))

    return {
        "first": largest("losses", slice(None), 0),
        "curve": largest("losses"),
        "end": largest("final_loss"),
        "accuracy": largest("accuracy"),
    }


def curve(own, plan):
    """The losses of a backend over all its steps.

    Args:
        own: The result of a backend.
        plan: How many steps were taken, and how.

    Returns:
        `(steps, losses)`: the first steps one by one, then each turn by its
        mean, at its last step; `losses` has a row for each seed.
    """
    first = np.arange(1, plan["curve"] + 1)
    turn = plan["turn"]
    # One turn that is not measured lies between.
    turns = plan["curve"] + turn * np.arange(2, plan["turns"] + 2)
    losses = np.concatenate([own["losses"], own["turn_losses"]], axis=1)
    return np.concatenate([first, turns]), losses
