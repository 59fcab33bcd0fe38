"""The feature files in which CMU-MOSI and CMU-MOSEI are passed on.

One pickle: `{"train", "valid", "test"}`, each a dict of arrays with one row per
utterance, padded to the same number of frames.
"""

import functools

import numpy as np

from keras_xkd.datasets import safe_pickle
from keras_xkd.datasets.file_error import DataFileError

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
MODALITIES = {
    "text": "raw_text",
    "text_features": "text",
    "text_bert": "text_bert",
    "audio": "audio",
    "video": "vision",
}
SEQUENCES = ("text_features", "audio", "video")
ARRAYS = (*SEQUENCES, "text_bert")
LENGTHS = {"audio_lengths": "audio_lengths", "video_lengths": "vision_lengths"}
LABELS = ("regression_labels", "labels")
HIGHEST = 3.0


class SentimentFile:
    """A feature file, checked.

    Args:
        path: The pickle.
        aligned: Whether the frames of the modalities belong together.
        nonfinite: `"zero"`, `"keep"` or `"raise"`.
    """

    def __init__(self, path, aligned, nonfinite):
        self.path = path
        self.aligned = aligned
        self.nonfinite = nonfinite
        # How many values were not finite: {split: {modality: count}}.
        self.found = {}
        data = safe_pickle.load(path)
        if not isinstance(data, dict):
            self._fail(f"it holds a {type(data).__name__}, not a dict")
        self.splits = {}
        for split, key in SPLITS.items():
            if not isinstance(data.get(key), dict):
                self._fail(
                    f"it has no split '{key}'; its keys are {list(data)}"
                )
            self.splits[split] = self._read(key, data.pop(key))
        self.modalities = [
            name
            for name in MODALITIES
            if all(name in arrays for arrays in self.splits.values())
        ]
        self.widths = {}
        for name in [n for n in ARRAYS if n in self.modalities]:
            widths = {s: a[name].shape[-1] for s, a in self.splits.items()}
            if len(set(widths.values())) > 1:
                self._fail(
                    f"'{MODALITIES[name]}' differs in width between splits: "
                    f"{widths}"
                )
            self.widths[name] = widths["train"]

    def require(self, modalities):
        """Raises unless the file has these modalities."""
        for name in modalities:
            if name not in self.modalities:
                self._fail(
                    f"it has no '{MODALITIES[name]}', from which the modality "
                    f"'{name}' is read. It has {self.modalities}."
                )

    def samples(self, split, modalities):
        """Yields `(row, example)`, once; the arrays are released at the end."""
        arrays = self.splits.pop(split)
        found = self.found.setdefault(split, {})
        for row in range(len(arrays["label"])):
            values = {
                name: functools.partial(self._frames, arrays, name, row, found)
                for name in modalities
                if name in SEQUENCES
            }
            if "text" in modalities:
                values["text"] = as_text(arrays["text"][row]) or None
            if "text_bert" in modalities:
                values["text_bert"] = arrays["text_bert"][row].astype("int32")
            values["label"] = functools.partial(self._label, arrays, row)
            values["name"] = (
                as_name(arrays["id"][row])
                if "id" in arrays
                else f"{split}_{row:05d}"
            )
            yield row, values

    def _fail(self, reason):
        raise DataFileError(self.path, reason)

    def _read(self, split, content):
        """The arrays of a split by our names."""
        labels = [key for key in LABELS if key in content]
        if not labels:
            self._fail(
                f"split '{split}' has no '{LABELS[0]}' and no '{LABELS[1]}'; "
                f"its keys are {list(content)}"
            )
        arrays = {"label": self._array(split, content, labels[0])}
        rows = len(arrays["label"])
        if arrays["label"].size != rows:
            self._fail(
                f"'{labels[0]}' of split '{split}' must have one value per "
                f"sample. Its shape is {arrays['label'].shape}"
            )
        for name, key in (MODALITIES | LENGTHS | {"id": "id"}).items():
            if key not in content:
                continue
            if name in ("text", "id"):
                arrays[name] = content[key]
            else:
                arrays[name] = self._array(split, content, key)
            if len(arrays[name]) != rows:
                self._fail(
                    f"'{key}' of split '{split}' has {len(arrays[name])} "
                    f"samples, '{labels[0]}' has {rows}"
                )
        for name in [n for n in ARRAYS if n in arrays]:
            shape = arrays[name].shape
            if len(shape) != 3 or (name == "text_bert" and shape[1] != 3):
                expected = (
                    "3, tokens" if name == "text_bert" else "frames, width"
                )
                self._fail(
                    f"'{MODALITIES[name]}' of split '{split}' must have the "
                    f"shape (samples, {expected}). Its shape is {shape}"
                )
        lengths = {n: arrays[n].shape[1] for n in SEQUENCES if n in arrays}
        if self.aligned and len(set(lengths.values())) > 1:
            self._fail(
                f"split '{split}' is not aligned: its modalities have "
                f"{lengths} frames. Choose `aligned=False`"
            )
        return arrays

    def _array(self, split, content, key):
        try:
            array = np.asarray(content[key])
        except ValueError:  # Rows of different shapes.
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            self._fail(f"'{key}' of split '{split}' is no array of numbers")
        return array

    def _label(self, arrays, row):
        label = float(np.reshape(arrays["label"], -1)[row])
        if not abs(label) <= HIGHEST:
            self._fail(f"the label of row {row} is {label}, not in [-3, 3]")
        return np.float32(label)

    def _frames(self, arrays, name, row, found):
        """The frames of one sample without padding, or None."""
        values = arrays[name][row]
        start, stop = self._extent(arrays, name, row)
        if not 0 <= start <= stop <= len(values):
            self._fail(
                f"row {row} states {stop} frames of "
                f"'{MODALITIES[name]}', which has {len(values)}"
            )
        values = values[start:stop]
        # The corpora fill a modality that could not be extracted with zeros.
        if not np.any(values != 0):
            return None
        with np.errstate(over="ignore"):
            values = values.astype("float32")
        wrong = ~np.isfinite(values)
        if wrong.any():
            if self.nonfinite == "raise":
                self._fail(
                    f"row {row} of '{MODALITIES[name]}' has {wrong.sum()} "
                    "values that are not finite"
                )
            found[name] = found.get(name, 0) + int(wrong.sum())
            if self.nonfinite == "zero":
                values[wrong] = 0
        return values

    def _extent(self, arrays, name, row):
        """The first frame that is not padding, and the last plus one."""
        if f"{name}_lengths" in arrays:
            return 0, int(np.reshape(arrays[f"{name}_lengths"], -1)[row])
        if "text_bert" in arrays and (self.aligned or name == "text_features"):
            mask = arrays["text_bert"][row, 1]
            tokens = int(np.sum(mask == 1))
            # Every text has tokens, so a mask without them says nothing.
            if tokens and np.array_equal(mask, np.arange(len(mask)) < tokens):
                return 0, tokens
        names = SEQUENCES if self.aligned else (name,)
        used = [
            np.any(arrays[n][row] != 0, axis=-1) for n in names if n in arrays
        ]
        frames = np.flatnonzero(np.any(used, axis=0))
        return (frames[0], frames[-1] + 1) if len(frames) else (0, 0)


def as_text(value):
    """A string from a string or bytes, also in an array of one."""
    value = np.asarray(value, object).reshape(-1)
    value = value[0] if len(value) == 1 else " ".join(map(as_text, value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


def as_name(value):
    """A name from an identifier or its parts: video, start, end."""
    return "|".join(as_text(p) for p in np.asarray(value, object).reshape(-1))
