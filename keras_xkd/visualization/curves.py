"""What `fit` logged, as arrays of one value per run and epoch."""

import numpy as np

from keras_xkd.visualization import checks


def is_loss(name):
    return name == "loss" or name.endswith("_loss")


def is_bound(name):
    return name.endswith("_information")


def read(history):
    """The epochs, counted from 1, and a list with the logs of every run."""
    runs = list(history) if isinstance(history, list | tuple) else [history]
    logs = [getattr(run, "history", run) for run in runs]
    if not all(hasattr(log, "keys") for log in logs):
        raise ValueError(
            "`history` must be what `fit` returned, its dict, or a list of "
            f"these. Received: {[type(log).__name__ for log in logs]}"
        )
    logs = [{k: checks.to_array(v) for k, v in log.items()} for log in logs]
    lengths = [max(map(_count, log.values()), default=0) for log in logs]
    if not lengths or min(lengths) == 0:
        raise ValueError(
            "`history` must have an epoch at least: call `fit` first. "
            f"Received: {lengths or 'no'} epochs"
        )
    if len(set(lengths)) > 1:
        raise ValueError(
            "All runs must have as many epochs: cut them to "
            f"{min(lengths)}, or draw each on its own. Received: {lengths}"
        )
    epochs = np.arange(1, lengths[0] + 1)
    trained = getattr(runs[0], "epoch", None)
    if trained is not None and len(trained) >= lengths[0]:
        epochs = np.add(trained, 1)  # Not from 1 on after `initial_epoch`.
    return epochs, logs


def choose(runs, terms=None):
    """The names of the logs to draw, those asked for or losses and bounds."""
    known = [
        name
        for name in dict.fromkeys(k.removeprefix("val_") for k in runs[0])
        if all(_both(run, name) == _both(runs[0], name) for run in runs)
    ]
    if terms is None:
        # Keras sorts logs by name.
        losses = sorted(filter(is_loss, known), key=lambda name: name != "loss")
        chosen = [*losses, *filter(is_bound, known)]
        return chosen or [name for name in known if name != "learning_rate"]
    terms = [terms] if isinstance(terms, str) else list(terms)
    terms = [term.removeprefix("val_") for term in terms]
    found = [t if t in known else f"{t}_loss" for t in terms]
    unknown = [term for term, name in zip(terms, found) if name not in known]
    if unknown or not terms:
        raise ValueError(
            "`terms` must name logs that all runs have. There are: "
            f"{sorted(known)}. Received: {unknown or terms}"
        )
    return list(dict.fromkeys(found))


def _count(values):
    return len(values) if values.ndim else 1


def _both(run, name):
    return [key in run for key in (name, f"val_{name}")]


def stack(runs, name, epochs):
    """The epochs of a log, and its values, shape `(runs, epochs)`."""
    shapes = {run[name].shape for run in runs if run[name].ndim > 1}
    if shapes:
        raise ValueError(
            f"'{name}' must have one value per epoch. Received: arrays of "
            f"shape {sorted(shapes)[0]}, such as of a metric with a value for "
            "each class"
        )
    lengths = {_count(run[name]) for run in runs}
    if len(lengths) > 1:
        raise ValueError(
            f"All runs must have as many values of '{name}'. "
            f"Received: {sorted(lengths)}"
        )
    values = np.stack([np.ravel(run[name]) for run in runs]).astype("float64")
    if not np.all(np.isfinite(values)):
        run, place = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"'{name}' must be finite. Received: {values[run, place]} at value "
            f"{place + 1} of run {run + 1}: that training diverged"
        )
    return _epochs_of(name, values.shape[1], epochs), values


def _epochs_of(name, count, epochs):
    """The epochs of `count` values: all, or every k-th (`validation_freq`)."""
    if count == len(epochs):
        return epochs
    choices = {tuple(epochs[epochs % k == 0]) for k in range(2, epochs[-1] + 1)}
    choices = [epochs for epochs in choices if len(epochs) == count]
    if len(choices) != 1 or not count:
        raise ValueError(
            f"'{name}' must have a value for each of the {len(epochs)} epochs, "
            f"or for every k-th. Received: {count} values, of "
            f"{'several' if choices and count else 'no'} possible k. Leave it "
            "out of the history, or call `fit` with `validation_freq=1`"
        )
    return np.array(choices[0])
