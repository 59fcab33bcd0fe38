"""What networks make of a data set, as arrays."""

import keras
import numpy as np

from keras_xkd.data.views import take
from keras_xkd.utils.modalities import check_batch
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent


def run_split(split, readout, models, data, batch_size):
    """Logits and features of all models; each sees every sample once.

    Args:
        split: What the user calls the data, for errors.
        readout: The `Outputs` that make the models return features.
        models: A dict `{name: network}`.
        data: `(x, y)`, or an iterable of such batches. Weights of the
            samples, if there are any, are not used.
        batch_size: For arrays.

    Returns:
        `({name: {"logits": array, "features": array}}, labels)`, without the
        samples that lack a modality.
    """
    parts = {n: {"logits": [], "features": []} for n in models}
    labels = []
    for x, y in _batches(split, data, batch_size):
        keep = np.ones(len(y), bool)
        for model in models.values():
            mask = presence(x, model)
            if mask is not None:
                keep &= keras.ops.convert_to_numpy(mask) > 0
        x = keras.tree.map_structure(_array, zero_absent(x))
        labels.append(y[keep])
        for name, model in models.items():
            inputs = select_modalities(x, model)
            outputs = readout.view(model).predict_on_batch(inputs)
            for key, values in parts[name].items():
                values.append(_output(outputs, key, name, split, keep))
    if not any(map(len, labels)):
        raise ValueError(
            f"`{split}` is empty: there is no sample that has all modalities. "
            f"Received: {len(labels)} batches"
        )
    found = {
        name: {key: np.concatenate(values) for key, values in own.items()}
        for name, own in parts.items()
    }
    return found, np.concatenate(labels)


def check_labels(split, y, classes):
    """Class indices of shape `(samples,)`, or an error that names the split."""
    numbers = y.dtype.kind in "biuf"
    if numbers and y.shape[1:] == (classes,) and classes > 1:
        y = y.argmax(-1)
    one = y.shape[1:] in ((), (1,))
    if not numbers or not one or np.any(y != np.floor(y)):
        raise ValueError(
            f"The labels of `{split}` must be class indices of shape "
            "`(samples,)`, or one row per sample with a 1. Received: shape "
            f"{y.shape} of type {y.dtype}"
        )
    y = y.reshape(-1).astype("int64")
    found = np.unique(y)
    if found.min(initial=0) < 0 or found.max(initial=0) >= classes:
        raise ValueError(
            f"The labels of `{split}` must be from 0 to {classes - 1}, the "
            f"classes of the models. Received: {found.tolist()[:20]}"
        )
    if len(found) < 2:
        raise ValueError(
            f"The labels of `{split}` must be of two classes or more. "
            f"Received: {len(y)} samples of the classes {found.tolist()}"
        )
    return y


def check_two_logits(name, width):
    """Raises for a network with one logit, which says yes or no."""
    if width == 1:
        raise ValueError(
            "Classes are compared here: give a network of yes and no two "
            f"logits, `Dense(2)`. Received: '{name}' with one logit"
        )


def _output(outputs, key, name, split, keep):
    """Logits or features of what to keep, shape `(samples, width)`."""
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    if key not in outputs:
        raise ValueError(
            f"'{key}' of '{name}' are needed, but it returns "
            f"{sorted(outputs)}. Let it return a dict with the key '{key}'."
        )
    value = np.asarray(outputs[key], "float32")
    if value.ndim != 2:
        raise ValueError(
            f"The {key} of '{name}' must have the shape `(samples, width)`. "
            f"Received: shape {value.shape}"
        )
    if key == "logits":
        check_two_logits(name, value.shape[1])
    value = value[keep]
    wrong = np.sum(~np.isfinite(value).all(1))
    if wrong:
        raise ValueError(
            f"The {key} of '{name}' on `{split}` must be finite. Received: "
            f"NaN or inf in {wrong} of the {len(value)} samples of a batch"
        )
    return value


def _batches(split, data, batch_size):
    if isinstance(data, keras.utils.PyDataset):
        data = map(data.__getitem__, range(data.num_batches))
    if _is_pair(data):
        x, y = _check_split(split, data)
        for start in range(0, len(y), batch_size):
            rows = slice(start, start + batch_size)
            yield take(x, rows), y[rows]
        return
    if isinstance(data, dict) or not hasattr(data, "__iter__"):
        data = [data]  # The check says what is wrong.
    for batch in data:
        yield _check_split(split, batch)


def _is_pair(data):
    """Whether this is `(x, y)`, not a list of such batches."""
    several = isinstance(data, (list, tuple)) and len(data) > 0
    return several and not isinstance(data[0], (list, tuple))


def _check_split(split, data):
    """`(x, y)` with an array `y`, or an error that names the split."""
    several = isinstance(data, (list, tuple))
    if not several or len(data) < 2 or not isinstance(data[0], dict):
        parts = data if several else [data]
        raise ValueError(
            f"`{split}` must be `(x, y)` with a dict `x`, or an iterable of "
            f"such batches. Received: {[type(p).__name__ for p in parts]}"
        )
    x, y = data[0], _array(data[1])
    if y.ndim == 0:
        raise ValueError(
            f"`{split}` must have a label for each sample. Received: y={y}"
        )
    try:
        check_batch(x, y)
    except ValueError as error:
        raise ValueError(f"`{split}`: {error}") from None
    return x, y


def _array(value):
    return np.asarray(keras.ops.convert_to_numpy(value))
