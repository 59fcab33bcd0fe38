"""Views of a data set: fewer labels, absent or degraded modalities.

Every function takes and returns plain NumPy data, `x` a dict
`{modality: array}`, and leaves its arguments unchanged. The reserved keys
`"sample_id"` and `"present"` are not modalities: they are carried along.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.data.degradations import DEGRADATIONS
from keras_xkd.data.degradations import add_noise
from keras_xkd.data.degradations import block_average
from keras_xkd.data.degradations import generator_of
from keras_xkd.data.degradations import is_number
from keras_xkd.typing import Degradations, Modalities

RESERVED = ("present", "sample_id", "teacher_outputs")


@keras_xkd_export("keras_xkd.data.take")
def take(x: Modalities, rows: ArrayLike) -> Modalities:
    """Returns the given rows of every array in a dict, nested dicts included.

    Args:
        x: Dict of arrays `(N, ...)`, or of such dicts.
        rows: Row indices or a Boolean mask.

    Returns:
        A dict of the same structure.

    Example:

    >>> x = {"audio": np.arange(4), "present": {"audio": np.ones(4)}}
    >>> take(x, [0, 3])["audio"]
    array([0, 3])
    """
    if isinstance(x, dict):
        return {key: take(value, rows) for key, value in x.items()}
    return np.asarray(x)[rows]


@keras_xkd_export("keras_xkd.data.few_labels")
def few_labels(
    x: Modalities, y: ArrayLike, per_class: int, seed: int = 0
) -> tuple[Modalities, np.ndarray]:
    """Keeps a few samples of each class.

    With the same seed a smaller choice is part of a larger one, so that
    curves over the number of labels are paired.

    Args:
        x: Dict of arrays `(N, ...)`.
        y: Integer labels, shape `(N,)`. Samples with a negative label are
            unlabelled and never chosen.
        per_class: Number of samples of each class.
        seed: Seed of the choice.

    Returns:
        `(x, y)`, `per_class` times the number of classes rows in their
        original order.

    Example:

    >>> x, y = {"audio": np.arange(6)}, np.array([0, 1, 0, 1, 0, 1])
    >>> x_few, y_few = few_labels(x, y, per_class=1)
    >>> np.bincount(y_few)
    array([1, 1])
    """
    rows = _choose(y, per_class, seed)
    return take(x, rows), np.asarray(y)[rows]


@keras_xkd_export("keras_xkd.data.unlabelled")
def unlabelled(
    x: Modalities, y: ArrayLike, per_class: int, seed: int = 0
) -> Modalities:
    """Returns what `few_labels` leaves out, without its labels.

    Args:
        x: Dict of arrays `(N, ...)`.
        y: Integer labels, shape `(N,)`.
        per_class: Number of samples of each class that are labelled.
        seed: Seed of the choice, the same as for `few_labels`.

    Returns:
        `x`, the remaining rows in their original order.

    Example:

    >>> x, y = {"audio": np.arange(6)}, np.array([0, 1, 0, 1, 0, 1])
    >>> unlabelled(x, y, per_class=1)["audio"].shape
    (4,)
    """
    rest = np.setdiff1d(np.arange(np.size(y)), _choose(y, per_class, seed))
    return take(x, rest)


@keras_xkd_export("keras_xkd.data.hide_labels")
def hide_labels(y: ArrayLike, per_class: int, seed: int = 0) -> np.ndarray:
    """Replaces all labels but a few of each class by -1.

    Train with `SparseCategoricalCrossentropy(from_logits=True,
    ignore_class=-1)`, or take the rows with `y >= 0`.

    Args:
        y: Integer labels, shape `(N,)`.
        per_class: Number of labels of each class that are kept.
        seed: Seed of the choice; the labels kept are those of `few_labels`.

    Returns:
        The labels, shape `(N,)`, -1 where they are hidden.

    Example:

    >>> hide_labels(np.array([0, 1]), per_class=1)
    array([0, 1])
    """
    hidden = np.full_like(np.asarray(y), -1)
    rows = _choose(y, per_class, seed)
    hidden[rows] = np.asarray(y)[rows]
    return hidden


@keras_xkd_export("keras_xkd.data.missing")
def missing(
    x: Modalities, fractions: Mapping[str, float], seed: int = 0
) -> Modalities:
    """Takes modalities away from a part of the samples.

    The values of an absent modality become 0, and `x["present"][modality]`
    says where it is there. The modalities are chosen independently: with two
    of them some samples may lose both.

    Args:
        x: Dict of arrays `(N, ...)`. An existing `x["present"]` is respected:
            what was absent stays absent.
        fractions: Dict `{modality: fraction}`, each in `[0, 1]`. Exactly
            `round(fraction * N)` samples lose the modality.
        seed: Seed of the choice.

    Returns:
        A dict like `x`, with `x["present"][modality]` of shape `(N,)`, float32,
        1 or 0, for every modality.

    Example:

    >>> x = {"audio": np.ones((4, 2)), "text": np.ones(4)}
    >>> x = missing(x, {"text": 0.5})
    >>> float(x["present"]["audio"].sum()), float(x["present"]["text"].sum())
    (4.0, 2.0)
    """
    _check_modalities("missing", fractions, x)
    names = modalities(x)
    size = len(x[names[0]])
    present = {name: np.ones(size, "float32") for name in names}
    present.update(x.get("present", {}))
    result = dict(x)
    for name, fraction in fractions.items():
        if not is_number(fraction) or not 0 <= fraction <= 1:
            raise ValueError(
                f"The fraction of missing '{name}' must be a number from 0 to "
                f"1. Received: {fraction!r}"
            )
        absent = generator_of(name, seed).permutation(size)
        mask = np.array(present[name], "float32")
        mask[absent[: round(fraction * size)]] = 0
        values = np.asarray(x[name])
        shape = (size,) + (1,) * (values.ndim - 1)
        result[name] = np.where(mask.reshape(shape) > 0, values, 0).astype(
            values.dtype
        )
        present[name] = mask
    return {**result, "present": present}


@keras_xkd_export("keras_xkd.data.degrade")
def degrade(
    x: Modalities,
    degradations: Degradations,
    seed: int = 0,
    scale: Mapping[str, float] | None = None,
) -> Modalities:
    """Makes modalities worse.

    Two degradations are known, applied in this order:

    - `"resolution"`: averages over blocks until this number of values is left
      along each axis, and repeats each average, so that the shape stays. An
      integer for all axes but that of the batch (a last axis of size 1, the
      channel of an image, is left alone), or a tuple.
    - `"noise"`: adds Gaussian noise, in units of the standard deviation of the
      modality. The result is not clipped.

    Args:
        x: Dict of arrays `(N, ...)`.
        degradations: Dict `{modality: {degradation: strength}}`.
        seed: Seed of the noise.
        scale: Optional dict `{modality: standard deviation}` for the noise.
            By default that of the given array.

    Returns:
        A dict like `x`.

    Example:

    >>> x = {"image": np.arange(4.0).reshape(1, 4)}
    >>> degrade(x, {"image": {"resolution": 2}})["image"]
    array([[0.5, 0.5, 2.5, 2.5]])
    """
    _check_modalities("degrade", degradations, x)
    result = dict(x)
    for name, spec in degradations.items():
        if not isinstance(spec, dict) or set(spec) - set(DEGRADATIONS):
            raise ValueError(
                f"Each value of `degrade` must be a dict with keys among "
                f"{list(DEGRADATIONS)}. Received for '{name}': {spec!r}"
            )
        values = np.asarray(x[name])
        std = (scale or {}).get(name, values.std())
        if "resolution" in spec:
            values = block_average(name, values, spec["resolution"])
        if "noise" in spec:
            values = add_noise(name, values, spec["noise"], std, seed)
        result[name] = values
    return result


def modalities(x):
    """Returns the names in `x` that are not reserved."""
    return [name for name in x if name not in RESERVED]


def _check_modalities(argument, names, x):
    if not isinstance(names, dict):
        raise ValueError(
            f"`{argument}` must be a dict with the names of modalities as "
            f"keys. Received: {names!r}"
        )
    unknown = sorted(set(names) - set(modalities(x)))
    if unknown:
        raise ValueError(
            f"Unknown modality in `{argument}`: {unknown}. The data has "
            f"{modalities(x)}"
        )


def _choose(y, per_class, seed):
    """Sorted rows, `per_class` of each class."""
    y = np.asarray(y)
    if not isinstance(per_class, (int, np.integer)) or per_class < 1:
        raise ValueError(
            "The number of samples per class must be a positive integer. "
            f"Received: {per_class!r}"
        )
    rng = np.random.default_rng(seed)
    rows = []
    for label in np.unique(y[y >= 0]):
        own = rng.permutation(np.flatnonzero(y == label))
        if len(own) < per_class:
            raise ValueError(
                f"Class {label} has only {len(own)} samples. "
                f"Received: per class {per_class}"
            )
        rows.append(own[:per_class])
    if not rows:
        raise ValueError("`y` contains no labels (all are negative).")
    return np.sort(np.concatenate(rows))
