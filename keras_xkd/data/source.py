"""Builders of tensorflow-datasets, opened for reading without TensorFlow."""

import os
import pathlib

import numpy as np

from keras_xkd.datasets import registry


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
    _check_split(builder, split)
    # `PartialDecoding` is for `tf.data` alone.
    skip = {f: v for f, v in builder.info.features.items() if f not in features}
    decoder = tfds.decode.SkipDecoding()
    # Without TensorFlow it knows no sequences by itself.
    decoder.decode_batch_example_np = decoder.decode_example_np
    decoder.decode_ragged_example_np = decoder.decode_example_np
    decoders = _skip(skip, decoder) or None
    try:
        return builder.as_data_source(split, decoders=decoders)
    except NotImplementedError:
        _add_random_access(builder)
        return builder.as_data_source(split, decoders=decoders)


def sample_numbers(builder, split, size):
    """The `sample_id` of the examples of a split, int64 `(size,)`.

    The samples of a builder are counted through, those of the split "train"
    from 0 on. So a part of a split has the numbers of the whole, and no two
    splits share any.
    """
    first, start = {}, 0
    infos = builder.info.splits
    for name in sorted(infos, key=lambda name: (name != "train", name)):
        info = infos[name]
        lengths = info.shard_lengths or []
        files = info.filenames if lengths else []
        for file, length in zip(files, lengths):
            first[file] = start
            start += length
    numbers = []
    if first:
        for part in infos[split].file_instructions:
            begin = first[pathlib.Path(part.filename).name] + part.skip
            numbers.extend(range(begin, begin + part.take))
    if len(numbers) != size:  # It is not what is on the disk: a mock.
        numbers = range(size)
    return np.asarray(numbers, "int64")


def _check_split(builder, split):
    tfds = registry.import_tfds()
    splits = sorted(builder.info.splits)
    known = isinstance(split, (str, tfds.core.splits.AbstractSplit))
    if known and isinstance(split, str) and splits:
        named = {part.split("[")[0].strip() for part in split.split("+")}
        known = named <= {*splits, "all"}
    if not known:
        raise ValueError(
            f"`split` must name splits of '{builder.name}', {splits}, in the "
            "notation of tensorflow-datasets: 'train[:80%]', 'train+test', "
            f"`tfds.core.ReadInstruction`. Received: split={split!r}"
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
