"""The examples of a data set by number, read without TensorFlow."""

import os

import numpy as np

from keras_xkd.datasets import registry

# What a builder may say about an example beside its modalities.
DESCRIPTIONS = ("name", "present")


def open_builder(dataset, data_dir=None, manual_dir=None, builder_kwargs=None):
    """A prepared tensorflow-datasets builder, from its name or as it is.

    One that was not prepared yet is prepared, in a format with random access.
    """
    tfds = registry.import_tfds()
    if isinstance(dataset, str):
        arguments = {"data_dir": data_dir, **(builder_kwargs or {})}
        if manual_dir and registry.is_ours(dataset):
            # Their features may depend on what is in the folder.
            arguments["manual_dir"] = manual_dir
        dataset = registry.builder(dataset, **arguments)
    elif not isinstance(dataset, tfds.core.DatasetBuilder):
        raise ValueError(
            "`dataset` must be the name of a data set, a builder of "
            "tensorflow-datasets, or a dict `{modality: name or builder}`. "
            f"Received: {dataset!r}"
        )
    elif data_dir or builder_kwargs:
        raise ValueError(
            "`data_dir` and `builder_kwargs` are for data sets given by name; "
            f"the builder '{dataset.name}' has its own already."
        )
    if not dataset.is_prepared():
        manual_dir = manual_dir and os.path.expanduser(manual_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        dataset.download_and_prepare(
            download_config=config, file_format="array_record"
        )
    return dataset


def open_source(builder, split, features):
    """The examples of a split as a sequence of dicts of `features`."""
    tfds = registry.import_tfds()
    splits = sorted(builder.info.splits)
    if splits and split.split("[")[0].split("+")[0] not in [*splits, "all"]:
        raise ValueError(
            f"'{builder.name}' has the splits {splits}. Received: "
            f"split={split!r}"
        )
    # `PartialDecoding` is for `tf.data` alone.
    skip = {f: v for f, v in builder.info.features.items() if f not in features}
    decoder = tfds.decode.SkipDecoding()
    # Without TensorFlow it knows no sequences by itself.
    decoder.decode_batch_example_np = decoder.decode_example_np
    decoder.decode_ragged_example_np = decoder.decode_example_np
    decoders = _skip(skip, decoder)
    try:
        return builder.as_data_source(split, decoders=decoders)
    except NotImplementedError:
        _add_random_access(builder)
        return builder.as_data_source(split, decoders=decoders)


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
        if label is not None and label not in features:
            raise ValueError(
                f"`label` must be one of the features of '{builder.name}', "
                f"{sorted(features)}, or None. Received: label={label!r}"
            )
        needed = {*self.modalities.values()}
        needed |= {label} if label is not None else set()
        needed |= {"present"} if self.describes else set()
        self.source = open_source(builder, split, needed)
        self._only_labels = (builder, split)
        if label is not None:
            # Reading makes Python numbers of some.
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
        return x, present, np.asarray(example[self.label], self._label_type)

    def labels(self):
        """The labels of all examples, `(N,)`; decodes nothing else."""
        builder, split = self._only_labels
        source = open_source(builder, split, {self.label})
        return np.array([source[i][self.label] for i in range(len(source))])

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
    unknown = sorted(set(modalities.values()) - set(features))
    if unknown or not modalities:
        raise ValueError(
            f"`modalities` must name features of '{name}': {sorted(features)}. "
            f"Received: {unknown or modalities}"
        )
    return dict(modalities)


def _is_sequence(feature):
    """Whether the first axis is time, or the like."""
    if hasattr(feature, "items"):
        return False
    return len(feature.shape) > 0 and not isinstance(
        feature, registry.import_tfds().features.Image
    )


def _skip(features, decoder):
    """The decoder that leaves everything encoded, in nested dicts as well."""
    return {
        name: _skip(feature, decoder) if hasattr(feature, "items") else decoder
        for name, feature in features.items()
    }


def _add_random_access(builder):
    """Converts data in a sequential format, once, beside what is there."""
    tfds = registry.import_tfds()
    from tensorflow_datasets.scripts.cli import convert_format_utils

    print(
        f"'{builder.name}' was prepared as {builder.info.file_format.value}, "
        "which has no random access: it is converted to array_record, once, "
        f"in {builder.data_dir}."
    )
    convert_format_utils.convert_dataset(
        out_dir=None,
        out_file_format="array_record",
        dataset_version_dir=builder.data_dir,
        num_workers=1,
    )
    builder.info.set_file_format(
        tfds.core.FileFormat.ARRAY_RECORD,
        override=True,
        override_if_initialized=True,
    )
