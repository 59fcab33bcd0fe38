"""The outputs of one teacher, from batches into shards."""

import json
import warnings

import numpy as np

from keras_xkd.data.fingerprint import UNKNOWN
from keras_xkd.data.teacher_reader import TeacherReader
from keras_xkd.data.teacher_records import KEYS
from keras_xkd.data.teacher_records import clear
from keras_xkd.data.teacher_records import read_manifest
from keras_xkd.data.teacher_records import read_shard
from keras_xkd.data.teacher_records import remove_shards
from keras_xkd.data.teacher_records import shard_path
from keras_xkd.data.teacher_records import shard_paths
from keras_xkd.data.teacher_records import write_manifest
from keras_xkd.data.teacher_records import write_shard

# A shard has this many samples, and fewer where they would be this many bytes.
MOST_SAMPLES = 4096
MOST_BYTES = 2**28

_REASONS = {
    "weights": "the weights of the teacher are others",
    "configuration": "the configuration of the teacher is another",
    "cache_version": "keras_xkd now stores outputs in another way",
}


class TeacherJob:
    """Writes a cache, or goes on with one that was interrupted.

    Args:
        run: The `TeacherRun`.
        folder: The folder of its role.
        shard_size: Samples of a shard, None to choose.
        overwrite: Whether to start from nothing.
    """

    def __init__(self, run, folder, shard_size=None, overwrite=False):
        self.run = run
        self.folder = folder
        self.shard_size = shard_size
        self.overwrite = overwrite
        self.manifest = self._fitting_manifest()
        self.seen = []  # Ids and hashes.
        self.waiting, self.waiting_samples = [], 0
        self.samples = 0

    @property
    def complete(self):
        return self.manifest is not None and self.manifest["complete"]

    def _fitting_manifest(self):
        manifest = None if self.overwrite else read_manifest(self.folder)
        if manifest is not None:
            check_same(self.folder, self.run.fingerprint, manifest)
        return manifest

    def check(self, batches):
        """Raises unless the complete cache was made of these batches."""
        kind = self.run.fingerprint["configuration"]
        if kind.startswith(UNKNOWN):
            warnings.warn(
                f"The teacher, a {kind.removeprefix(UNKNOWN)}, has no "
                "`get_config`: its weights are those of the cache, but whether "
                "its other arguments are cannot be told. Give it a "
                "`get_config`, or another `version` where they change.",
                stacklevel=3,
            )
        reader = TeacherReader(self.folder, only=())
        for x, ids in batches:
            hashes = self.run.hashes(self.run.inputs(x))
            check_inputs(self.folder, ids, hashes, reader.hashes(ids))

    def check_repeatable(self, batches):
        """Raises if a sample is not what it was when it was seen before."""
        for x, ids in batches:
            hashes = self.run.hashes(self.run.inputs(x))
            self._compare(ids, hashes, *_sorted(self.seen))
            self.seen.append((ids, hashes))

    def prepare(self):
        """Clears the folder, or finds what is known; the caller locks it."""
        self.manifest = self._fitting_manifest()
        if self.manifest is None:
            clear(self.folder)
        else:
            self.shard_size = self.manifest["shard_size"]
            self.run.specs = self.manifest["outputs"]

    def start(self):
        """Prepares to go on after the shards that are there."""
        self.prepare()
        if self.complete:
            return  # Somebody else was faster.
        paths = shard_paths(self.folder)
        sizes = [len(read_shard(path, "sample_id")) for path in paths]
        if sizes and sizes[-1] != self.shard_size:
            paths.pop()  # The last one, which was not full.
        remove_shards(self.folder, first=len(paths))
        self.shards = len(paths)
        self.samples = sum(sizes[: len(paths)])
        self.stored = _sorted(
            tuple(np.array(read_shard(path, name)) for name in KEYS)
            for path in paths
        )

    def add(self, x, sample_id):
        """Runs the teacher on a batch, unless all its samples are stored."""
        inputs = self.run.inputs(x)
        hashes = self.run.hashes(inputs)
        self.seen.append((sample_id, hashes))
        old = self._compare(sample_id, hashes, *self.stored)
        if old.all():
            return
        columns = self.run(inputs, sample_id)
        self.describe(columns)
        columns |= {"sample_id": sample_id, "input_hash": hashes}
        self.waiting.append({n: v[~old] for n, v in columns.items()})
        self.waiting_samples += int(np.sum(~old))
        while self.waiting_samples >= self.shard_size:
            self._write(self.shard_size)

    def finish(self):
        """Writes what is left, and that this is all."""
        if self.waiting_samples:
            self._write(self.waiting_samples)
        if self.manifest is None:
            raise ValueError(
                "The data set is empty: it has not a single batch."
            )
        self.manifest = {
            **self.manifest, "complete": True, "samples": self.samples
        }  # fmt: skip
        write_manifest(self.folder, self.manifest)

    def _compare(self, sample_id, hashes, ids, stored):
        """Which samples are among `ids`, after a check of their hashes."""
        old = np.isin(sample_id, ids)
        wanted = stored[np.searchsorted(ids, sample_id[old])]
        check_inputs(self.folder, sample_id[old], hashes[old], wanted)
        return old

    def describe(self, columns):
        """Writes the manifest by the columns of the first batch."""
        if self.manifest is None:
            self.shard_size = self.shard_size or default_shard_size(columns)
            self.manifest = make_manifest(
                self.run, specs_of(columns), self.shard_size
            )
            write_manifest(self.folder, self.manifest)
        check_columns(columns, self.manifest["columns"])

    def _write(self, samples):
        columns = {
            name: np.concatenate([part[name] for part in self.waiting])
            for name in self.waiting[0]
        }
        shard = {name: values[:samples] for name, values in columns.items()}
        write_shard(shard_path(self.folder, self.shards), shard)
        self.shards += 1
        self.samples += samples
        self.waiting = [{n: values[samples:] for n, values in columns.items()}]
        self.waiting_samples -= samples


def make_manifest(run, columns, shard_size):
    """The manifest of a cache of which nothing is written yet."""
    return {
        "format_version": 1,
        "fingerprint": run.fingerprint,
        **run.description(),
        "columns": columns,
        "shard_size": shard_size,
        "complete": False,
        "samples": 0,
    }


def specs_of(columns):
    """Shape and dtype of one sample in each column."""
    return {
        name: {"shape": list(value.shape[1:]), "dtype": str(value.dtype)}
        for name, value in columns.items()
    }


def check_columns(columns, expected):
    """Raises unless a batch gives what the first one gave."""
    found = specs_of(columns)
    if found != expected:
        raise ValueError(
            "Every batch of a teacher must give the same columns. Received: "
            f"{found}, before: {expected}"
        )


def default_shard_size(columns):
    """Samples of a shard by the bytes of one sample."""
    size = sum(value[0].nbytes for value in columns.values())
    return max(1, min(MOST_SAMPLES, MOST_BYTES // size))


def check_same(folder, fingerprint, manifest):
    """Raises unless a cache was made by this teacher in this way."""
    cached = manifest["fingerprint"]
    reasons = [
        _REASONS.get(key)
        or f"`{key}` is {_shown(fingerprint, key)}, and was "
        f"{_shown(cached, key)}"
        for key in {**cached, **fingerprint}
        if fingerprint.get(key) != cached.get(key)
    ]
    if reasons:
        _refuse(folder, "; ".join(reasons))


def check_inputs(folder, sample_id, hashes, cached):
    """Raises unless the teacher reads what it read for the cache."""
    other = sample_id[hashes != cached]
    if len(other):
        _refuse(
            folder,
            "what the teacher reads of the samples with sample_id "
            f"{other[:10].tolist()} is not what it read before. It is other "
            "data, or was preprocessed in another way, or something random, "
            "such as augmentation, comes before the teacher",
        )


def _refuse(folder, reason):
    raise ValueError(
        f"The cache '{folder}' does not fit: {reason}. Nothing was "
        "overwritten. Choose another directory, or write the cache again "
        "with `overwrite=True`."
    )


def _shown(fingerprint, key):
    value = fingerprint.get(key)
    return repr(value) if key == "version" else json.loads(value or "null")


def _sorted(parts):
    """Ids in rising order and their hashes, from parts of both."""
    parts = [(np.zeros(0, "int64"), np.zeros(0, "uint64")), *parts]
    ids, hashes = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(ids)
    return ids[order], hashes[order]
