"""The examples of a data set by number: modalities and labels."""

import numpy as np

from keras_xkd.data.source import open_source
from keras_xkd.data.source import sample_numbers
from keras_xkd.datasets import registry

# What a builder may say about an example beside its modalities.
DESCRIPTIONS = ("name", "present")


class Rows:
    """Examples of one builder: modalities, and a label or None.

    Args:
        builder: A prepared builder.
        split: As in tensorflow-datasets, `"train[:80%]"` for example.
        modalities: Names of features, or a dict `{modality: feature}`; None
            for all features but the label and those that describe an example.
        label: Name of the feature that holds the label; None for none.
    """

    def __init__(self, builder, split, modalities=None, label="label"):
        features = builder.info.features
        self.name = f"{builder.name} ({split})"
        self.label = label
        self.modalities = _choose(modalities, features, label, builder.name)
        self.features = {m: features[f] for m, f in self.modalities.items()}
        self.sequences = [
            m for m, f in self.features.items() if _is_sequence(f)
        ]
        self.describes = "present" in features
        if label is not None and (
            label not in features or _is_nested(features[label])
        ):
            raise ValueError(
                f"`label` must be one of the features of '{builder.name}' that "
                f"are no dicts, {_names(features)}, or None. Received: "
                f"label={label!r}"
            )
        needed = {*self.modalities.values()}
        needed |= {label} if label is not None else set()
        needed |= {"present"} if self.describes else set()
        self.source = open_source(builder, split, needed)
        self.numbers = sample_numbers(builder, split, len(self.source))
        self._only_labels = (builder, split)
        if label is not None:
            self._label_type = features[label].get_tensor_info().np_dtype

    def __len__(self):
        return len(self.source)

    def __getitem__(self, row):
        """`(x, present, label)` of an example; a label of its own type."""
        example = self.source[int(row)]
        x = {m: example[f] for m, f in self.modalities.items()}
        present = {}
        if self.describes:
            given = example["present"]
            present = {
                m: float(given[f])
                for m, f in self.modalities.items()
                if f in given
            }
        if self.label is None:
            return x, present, None
        return x, present, self._label(example)

    def labels(self):
        """The labels of all examples, `(N,)`; decodes nothing else."""
        builder, split = self._only_labels
        source = open_source(builder, split, {self.label})
        return np.array([self._label(source[i]) for i in range(len(source))])

    def _label(self, example):
        """The label in its own type: reading makes Python numbers of some."""
        label = example[self.label]
        if isinstance(label, bytes):
            return label.decode()
        return np.asarray(label, self._label_type)

    def spec(self, modality):
        """Shape and dtype of a modality, None for what is not known."""
        info = self.features[modality].get_tensor_info()
        return info.shape, info.np_dtype


class PairedRows:
    """Pairs of examples of several data sets that share a label.

    The modality with most examples of a class has each of them once; the
    others repeat theirs, in a random order.

    Args:
        rows: A dict `{modality: Rows}`, each with that one modality.
        seed: Seed of the pairing.
    """

    def __init__(self, rows, seed=0):
        self.rows = rows
        self.name = " with ".join(part.name for part in rows.values())
        self.label = "label"
        self.features = {m: part.features[m] for m, part in rows.items()}
        self.sequences = [m for part in rows.values() for m in part.sequences]
        labels = {m: part.labels() for m, part in rows.items()}
        classes = {m: set(own.tolist()) for m, own in labels.items()}
        shared = sorted(set.intersection(*classes.values()))
        if not shared:
            found = {m: sorted(own) for m, own in classes.items()}
            raise ValueError(
                f"No label occurs in all of {self.name}: there is no pair. "
                f"Received: labels {found}"
            )
        self._pairs = {m: [] for m in rows}
        self._labels = []
        rng = np.random.default_rng(seed)
        for label in shared:
            own = {m: np.flatnonzero(labels[m] == label) for m in rows}
            size = max(map(len, own.values()))
            for m, members in own.items():
                order = rng.permutation(members)
                self._pairs[m].extend(np.resize(order, size))
            self._labels.extend([label] * size)

    @property
    def numbers(self):
        return np.arange(len(self))

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, row):
        row = int(row)
        x, present = {}, {}
        for m, part in self.rows.items():
            own, here, _ = part[self._pairs[m][row]]
            x.update(own)
            present.update(here)
        return x, present, self._labels[row]

    def labels(self):
        return np.array(self._labels)

    def spec(self, modality):
        return self.rows[modality].spec(modality)


def _choose(modalities, features, label, name):
    """The features that are read, `{modality: feature}`."""
    if modalities is None:
        modalities = [
            f for f in features if f != label and f not in DESCRIPTIONS
        ]
    if isinstance(modalities, str):
        modalities = [modalities]
    if not isinstance(modalities, dict):
        modalities = {m: m for m in modalities}
    wanted = modalities.values()
    unknown = sorted(set(wanted) - set(features))
    nested = sorted(
        f for f in wanted if f in features and _is_nested(features[f])
    )
    if unknown or nested or not modalities:
        raise ValueError(
            f"`modalities` must name features of '{name}' that are no dicts: "
            f"{_names(features)}. Received: {unknown or nested or modalities}"
        )
    return dict(modalities)


def _names(features):
    return sorted(f for f in features if not _is_nested(features[f]))


def _is_nested(feature):
    """Whether a feature is a dict, or a sequence of dicts."""
    inner = getattr(feature, "feature", feature)
    return hasattr(inner, "items")


def _is_sequence(feature):
    """Whether the first axis is time, or the like."""
    return len(feature.shape) > 0 and not isinstance(
        feature, registry.import_tfds().features.Image
    )
