"""What the pictures are made of: arrays, labels and the names of classes."""

import numpy as np

from keras_xkd.utils.arrays import to_array


def numbers(name, x):
    """`x` as an array of finite float64."""
    try:
        array = to_array(x).astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must hold numbers, in rows of one length. "
            f"Received: {type(x).__name__}"
        ) from error
    if not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` must be finite. Received: NaN or inf")
    return array


def matrix(name, x):
    """`x` as finite float64 of shape `(samples, features)`, not empty."""
    array = numbers(name, x)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"`{name}` must have shape `(samples, features)`, with one vector "
            f"for each sample. Received: shape {array.shape}"
        )
    return array


def same_width(arrays):
    """Raises if the matrices of a dict have different numbers of features."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len({shape[1] for shape in shapes.values()}) > 1:
        raise ValueError(
            "All embeddings must lie in one space, with as many features: "
            "project them first, or draw each on its own. "
            f"Received: shapes {shapes}"
        )


def labels(name, x, count=None):
    """One label per sample, whole numbers or strings, shape `(samples,)`."""
    array = to_array(x)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array) or len(array) != (count or len(array)):
        expected = "samples" if count is None else count
        raise ValueError(
            f"`{name}` must have one label per sample, shape `({expected},)`. "
            f"Received: shape {array.shape}"
        )
    if array.dtype.kind in "USO":
        return array.astype(str)
    whole = numbers(name, array)
    if not np.all(whole == np.round(whole)):
        raise ValueError(
            f"`{name}` must hold classes: whole numbers or strings. "
            f"Received: {whole[whole != np.round(whole)][0]}"
        )
    return whole.astype("int64")


def all_labelled(name, labels):
    """Raises if a label is negative, which means that there is none."""
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise ValueError(
            f"`{name}` must hold classes from 0: leave out the samples without "
            f"a label, `y >= 0`. Received: {labels.min()}"
        )
    return labels


def class_names(classes, names):
    """What to call classes: by a list, a dict, or their labels themselves.

    Args:
        classes: The labels, whole numbers or strings.
        names: A list with the name of class `i` at place `i`, a dict `{label:
            name}`, or None.
    """
    if names is None:
        return [str(label) for label in classes]
    known = names if hasattr(names, "keys") else dict(enumerate(names))
    classes = np.asarray(classes).tolist()
    unknown = [label for label in classes if label not in known]
    if unknown:
        raise ValueError(
            "`names` must have a name for every class: a list with one for "
            "each of 0, 1, ..., or a dict `{label: name}`. "
            f"Missing: {unknown}. Received: names={names}"
        )
    return [str(known[label]) for label in classes]
