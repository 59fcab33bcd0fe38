"""Reading rows of a teacher cache, in any order, from anywhere."""

import mmap
import pathlib

import numpy as np

from keras_xkd.data.teacher_records import KEYS
from keras_xkd.data.teacher_records import read_manifest
from keras_xkd.data.teacher_records import read_shard
from keras_xkd.data.teacher_records import shard_path
from keras_xkd.data.teacher_records import shard_paths

# Every mapped file holds a descriptor, of which a process has few.
_MOST_OPEN = 400


class TeacherReader:
    """The records of one teacher, by `sample_id`.

    Files are opened when they are needed, in each process for itself, so that
    threads and processes may share a reader.

    Args:
        folder: The folder of the role.
        only: The columns to read, None for all.
    """

    def __init__(self, folder, only=None):
        self.folder = pathlib.Path(folder)
        self.manifest = complete_manifest(self.folder)
        names = self.manifest["columns"]
        self.columns = {n: names[n] for n in (names if only is None else only)}
        self._open()

    def _open(self):
        self._maps = {}
        self._index = None

    def __getstate__(self):
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("_maps", "_index")
        }

    def __setstate__(self, state):
        vars(self).update(state)
        self._open()

    def __len__(self):
        return self.manifest["samples"]

    def read(self, sample_id):
        """The columns of these samples, a dict of arrays `(batch, ...)`."""
        places = self._places(sample_id)
        return {name: self._read(name, places) for name in self.columns}

    def hashes(self, sample_id):
        """The hashes of what the teacher read of these samples."""
        return self._read("input_hash", self._places(sample_id))

    def _places(self, sample_id):
        """Shard and row of each sample."""
        sample_id = check_ids(sample_id)
        order, known = self._ids()
        at = np.minimum(np.searchsorted(known, sample_id), len(known) - 1)
        unknown = known[at] != sample_id
        if unknown.any():
            raise ValueError(
                f"The cache '{self.folder}' of {len(self)} samples lacks "
                f"sample_id {sample_id[unknown][:10].tolist()}. Cache the "
                "data that you train on."
            )
        rows = at if order is None else order[at]
        return np.divmod(rows, self.manifest["shard_size"])

    def _ids(self):
        """The known ids in rising order, and their rows."""
        if self._index is None:
            paths = shard_paths(self.folder)
            ids = [np.array(read_shard(path, "sample_id")) for path in paths]
            ids = np.concatenate(ids)
            if len(ids) != len(self):
                raise ValueError(
                    f"The cache '{self.folder}' must have {len(self)} samples. "
                    f"Received: shards with {len(ids)}"
                )
            order = None
            if (np.diff(ids) <= 0).any():
                order = np.argsort(ids, kind="stable")
                ids = ids[order]
            self._index = order, ids
        return self._index

    def _read(self, name, places):
        shards, rows = places
        spec = self.columns.get(name) or {"shape": [], "dtype": KEYS[name]}
        values = np.empty((len(rows), *spec["shape"]), spec["dtype"])
        for shard in np.unique(shards):
            own = np.flatnonzero(shards == shard)
            source = self._map(int(shard), name)
            _announce(source, rows[own])
            values[own] = source[rows[own]]
        return values

    def _map(self, shard, name):
        source = self._maps.get((shard, name))
        if source is None:
            source = read_shard(shard_path(self.folder, shard), name)
            if hasattr(mmap, "MADV_RANDOM"):
                source.base.madvise(mmap.MADV_RANDOM)
            for oldest in list(self._maps)[: len(self._maps) - _MOST_OPEN]:
                self._maps.pop(oldest, None)
            self._maps[shard, name] = source
        return source


def _announce(source, rows):
    """Lets the disk fetch all rows at once, and not one after the other."""
    if not hasattr(mmap, "MADV_WILLNEED") or source.strides[0] < 1:
        return
    size = source.strides[0]
    for row in rows.tolist():
        start = source.offset + row * size
        page = start // mmap.PAGESIZE * mmap.PAGESIZE
        source.base.madvise(mmap.MADV_WILLNEED, page, start + size - page)


def complete_manifest(folder):
    """The manifest of a cache that is there to the end."""
    manifest = read_manifest(folder)
    if manifest is None or not manifest["complete"]:
        state = "not complete" if manifest else "not there"
        raise ValueError(
            f"The cache '{folder}' is {state}. Run "
            "`keras_xkd.data.cache_teacher` to its end."
        )
    return manifest


def check_ids(sample_id):
    """`sample_id` as an int64 array `(batch,)`."""
    ids = np.asarray(sample_id)
    if ids.dtype.kind not in "iu" or ids.shape[1:] not in ((), (1,)):
        raise ValueError(
            "`x['sample_id']` must be whole numbers of shape `(batch,)`. "
            f"Received: shape {ids.shape} of type {ids.dtype}"
        )
    return ids.reshape(-1).astype("int64")
