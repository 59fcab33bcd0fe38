"""What networks make of a data set, as arrays."""

import keras
import numpy as np

from keras_xkd.data.views import take
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent
from keras_xkd.utils.outputs import get_output


def run_split(readout, models, data, batch_size):
    """Logits and features of all models; each sees every sample once.

    Args:
        readout: The `Outputs` that make the models return features.
        models: A dict `{name: network}`.
        data: `(x, y)`, or an iterable of such batches.
        batch_size: For arrays.

    Returns:
        `({name: {"logits": array, "features": array}}, labels)`, without the
        samples that lack a modality.
    """
    parts = {n: {"logits": [], "features": []} for n in models}
    labels = []
    for x, y in _batches(data, batch_size):
        keep = np.ones(len(y), bool)
        for model in models.values():
            mask = presence(x, model)
            if mask is not None:
                keep &= keras.ops.convert_to_numpy(mask) > 0
        x = keras.tree.map_structure(_array, zero_absent(x))
        labels.append(_array(y)[keep])
        for name, model in models.items():
            inputs = select_modalities(x, model)
            outputs = readout.view(model).predict_on_batch(inputs)
            for key, values in parts[name].items():
                value = get_output(outputs, key, name)
                values.append(np.asarray(value, "float32")[keep])
    if not any(map(len, labels)):
        raise ValueError(
            "The data is empty: there is no sample that has all modalities. "
            f"Received: {len(labels)} batches"
        )
    found = {
        name: {key: np.concatenate(values) for key, values in own.items()}
        for name, own in parts.items()
    }
    return found, np.concatenate(labels)


def check_labels(split, y, classes):
    """Class indices of shape `(samples,)`, or an error that names the split."""
    if y.shape[1:] == (classes,) and classes > 1:
        y = y.argmax(-1)
    if y.shape[1:] not in ((), (1,)) or np.any(y != np.floor(y)):
        raise ValueError(
            f"The labels of `{split}` must be class indices of shape "
            "`(samples,)`, or one row per sample with a 1. Received: shape "
            f"{y.shape}"
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


def _batches(data, batch_size):
    if isinstance(data, tuple) and isinstance(data[0], dict):
        x, y = data
        for start in range(0, len(y), batch_size):
            rows = slice(start, start + batch_size)
            yield take(x, rows), _array(y)[rows]
        return
    if isinstance(data, keras.utils.PyDataset):
        data = map(data.__getitem__, range(data.num_batches))
    for batch in data:
        yield batch[0], batch[1]


def _array(value):
    return np.asarray(keras.ops.convert_to_numpy(value))
