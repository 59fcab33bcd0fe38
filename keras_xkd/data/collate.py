"""Batches of arrays from single examples, by their number."""

import keras
import numpy as np

from keras_xkd.data.checks import check_positive


class Batches:
    """The batches of one epoch, as a sequence.

    Args:
        rows: Examples, `rows[i]` is `(x, present, label)`.
        order: Which rows, in which order.
        batch_size: Rows in a batch; the last one may be shorter.
        length: Dict `{modality: n}`: sequences are cut, or padded with zeros,
            to n. Others are padded to the longest of their batch.
        masked: Sequences that become `{"frames": values, "padding_mask":
            mask}`.
        masks: Dict `{modality: (N,)}`, 0 where a row is to lose a modality.
        labels: Labels of all rows in the place of their own; False for none.
        preprocess: Functions from `x` to `x`.
        drop_remainder: Whether to leave out a last batch that is shorter.
        sample_id: Whether `x` says which samples these are.
    """

    def __init__(
        self,
        rows,
        order,
        batch_size,
        length=(),
        masked=(),
        masks=(),
        labels=None,
        preprocess=(),
        drop_remainder=False,
        sample_id=True,
    ):
        self.rows = rows
        self.order = order
        self.batch_size = batch_size
        self.length = dict(length)
        self.masked = masked
        self.masks = dict(masks)
        self.labels = labels
        self.preprocess = preprocess
        self.sample_id = sample_id
        full, rest = divmod(len(order), batch_size)
        self.size = full + (rest > 0 and not drop_remainder)

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        start = int(index) * self.batch_size
        numbers = self.order[start : start + self.batch_size]
        examples = [self.rows[i] for i in numbers]
        x = {}
        for name in examples[0][0]:
            values = [example[0][name] for example in examples]
            kept = self.masks.get(name)
            if kept is not None:
                values = [
                    value if kept[i] else empty(value)
                    for i, value in zip(numbers, values)
                ]
            if name in self.rows.sequences:
                values, mask = pad(
                    name, values, self.length.get(name), self.rows.spec(name)
                )
            else:
                values, mask = stack(name, values), None
            x[name] = values
            if name in self.masked:
                x[name] = {"frames": values, "padding_mask": mask}
        present = self._present(numbers, examples)
        if present:
            x["present"] = present
        for function in self.preprocess:
            x = to_numpy(_dict(function(x)))
        if self.sample_id:
            x["sample_id"] = self.rows.numbers[numbers]
        if self.labels is False:
            return x
        if self.labels is not None:
            return x, self.labels[numbers]
        return x, stack("label", [example[2] for example in examples])

    def _present(self, numbers, examples):
        names = {*self.masks, *(m for e in examples for m in e[1])}
        present = {}
        for name in sorted(names):
            there = [example[1].get(name, 1.0) for example in examples]
            kept = self.masks.get(name)
            if kept is not None:
                there = np.minimum(there, kept[numbers])
            present[name] = np.asarray(there, "float32")
        return present


def pad(name, values, length=None, spec=((None,), "float32")):
    """One array of sequences, and where it was not padded.

    Args:
        name: Name of the modality, for messages.
        values: Sequences of several lengths; what is absent has length 0.
        length: The length of the result, that of the longest by default.
        spec: Shape and dtype of a sequence, where all are absent.

    Returns:
        `(values, mask)`: padded with zeros at the end, `(B, length, ...)`;
        and true where there was a value, `(B, length)`.
    """
    values = [_decode(value) for value in values]
    there = [value for value in values if value.size]
    shape = _shape(name, values, lambda value: value.shape[1:])
    dtype = there[0].dtype if there else spec[1]
    blank = 0
    if np.dtype(dtype).kind == "O":
        dtype, blank = object, ""
    if not there:
        shape = tuple(n or 1 for n in spec[0][1:])
    longest = max(1, *map(len, values)) if length is None else length
    lengths = np.array([len(v) if v.size else 0 for v in values])
    mask = np.arange(longest) < lengths[:, None]
    if not there:
        return np.full((len(values), longest, *shape), blank, dtype), mask
    result = keras.utils.pad_sequences(
        values, longest, dtype, "post", "post", value=blank
    )
    return result, mask


def stack(name, values):
    """One array of examples of one shape; zeros for those without a value."""
    values = [_decode(value) for value in values]
    if values[0].ndim == 0:
        return np.stack(values)
    shape = _shape(name, values, lambda value: value.shape)
    result = np.zeros((len(values), *shape), values[0].dtype)
    for i, value in enumerate(values):
        if value.size:
            result[i] = value
    return result


def _shape(name, values, shape_of):
    """The shape that all have in common; what is absent may have lost it."""
    shapes = sorted({shape_of(value) for value in values if value.size})
    if len(shapes) > 1:
        raise ValueError(
            f"The examples of '{name}' have several shapes: {shapes[:5]}. "
            "Prepare them in one size, or leave them out."
        )
    return shapes[0] if shapes else shape_of(values[0])


def empty(value):
    """What stands for an example that is taken away."""
    if isinstance(value, (bytes, str)):
        return ""
    return np.zeros_like(value) if np.ndim(value) == 0 else value[:0]


def to_numpy(x):
    """A nested dict of arrays from one of tensors of any backend."""
    if isinstance(x, dict):
        return {name: to_numpy(value) for name, value in x.items()}
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x)


def check_length(length, sequences):
    """Raises unless a dict gives positive numbers for modalities."""
    if not isinstance(length, dict) or set(length) - set(sequences):
        raise ValueError(
            "`length` must be a dict with keys among the modalities that are "
            f"sequences, {list(sequences)}. Received: length={length!r}"
        )
    for name, value in length.items():
        check_positive(**{f"length['{name}']": value})


def _dict(x):
    if not isinstance(x, dict):
        raise ValueError(
            "`preprocess` must return `x`, a dict of modalities. Received: "
            f"{type(x).__name__}"
        )
    return x


def _decode(value):
    """An array, with `str` for every text."""
    if isinstance(value, str):
        return np.asarray(value, object)
    value = np.asarray(value)
    if value.dtype.kind not in "SO":
        return value
    texts = [v.decode() if isinstance(v, bytes) else v for v in value.flat]
    return np.array(texts + [None], object)[:-1].reshape(value.shape)
