"""Checks that all builders share."""

import hashlib
import pickle

import numpy as np


def prepare(builder):
    """Prepares the data and returns its splits, as lists in their order."""
    builder.download_and_prepare()
    return {split: read(builder, split) for split in builder.info.splits}


def read(builder, split):
    """The examples of a split, with frames stacked and text as str."""
    return [_tidy(example) for example in builder.as_data_source(split)]


def _tidy(value):
    if isinstance(value, dict):
        return {name: _tidy(part) for name, part in value.items()}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return np.stack(value) if value else np.zeros((0,))
    return value


def by_name(examples):
    named = {example["name"]: example for example in examples}
    assert len(named) == len(examples)
    return named


def run_builder_test(make, folder):
    """Prepares the same data twice; `make(data_dir)` gives the builder.

    Returns:
        The builder and its splits.
    """
    builders = [make(data_dir=str(folder / f"data_{i}")) for i in range(2)]
    splits = prepare(builders[0])
    again = prepare(builders[1])
    assert {k: len(v) for k, v in splits.items()} == {
        k: len(v) for k, v in again.items()
    }
    assert records(builders[0]) == records(builders[1])

    # Its documents, and a builder that only reads.
    info = builders[0].info
    assert info.file_format.value == "array_record"
    assert info.description and info.features
    assert set(splits) == set(info.splits)
    for examples in splits.values():
        for example in examples:
            assert set(example) == set(info.features)
    reader = make(data_dir=str(folder / "data_0"))
    assert reader.is_prepared()
    reader = pickle.loads(pickle.dumps(reader))
    assert reader.data_dir == builders[0].data_dir
    split = next(iter(splits))
    np.testing.assert_equal(read(reader, split), splits[split])
    return builders[0], splits


def records(builder):
    """Hashes of the files of examples."""
    files = sorted(builder.data_path.glob("*.array_record*"))
    assert files
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
