"""The files of a cache: shards of `.npy` arrays and a manifest.

```
directory/teacher/manifest.json
directory/teacher/shard-00000/{sample_id,input_hash,logits,features}.npy
directory/teacher/shard-00001/...
```

A shard is a folder with one array for each column and a row for each sample.
It is written under another name, synchronised with the disk and renamed: what
has the name of a shard is whole.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import uuid
from typing import Any

import numpy as np

FORMAT = "keras_xkd teacher cache"
MANIFEST = "manifest.json"
# In every shard, beside the outputs.
KEYS = {"sample_id": "int64", "input_hash": "uint64"}

_LOCKED: set[Any] = set()


def role_folder(directory, role):
    """Where the records of a teacher are."""
    if not isinstance(role, str) or not re.fullmatch(r"\w[\w.-]*", role):
        raise ValueError(
            "A role must be a name of letters, digits, '_', '-' and '.'. "
            f"Received: role={role!r}"
        )
    return pathlib.Path(directory) / role


def shard_path(folder, index):
    return folder / f"shard-{index:05d}"


def shard_paths(folder):
    """The whole shards, from the first on as far as none is missing."""
    paths = []
    while shard_path(folder, len(paths)).is_dir():
        paths.append(shard_path(folder, len(paths)))
    return paths


def write_shard(path, columns):
    """Writes a shard, a dict of arrays; leaves one alone that is there."""
    if path.is_dir():
        return
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    unfinished.mkdir(parents=True)
    for name, values in columns.items():
        with open(unfinished / f"{name}.npy", "wb") as file:
            np.save(file, np.ascontiguousarray(values), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    _sync(unfinished)
    try:
        os.rename(unfinished, path)
    except OSError:
        if not path.is_dir():
            raise
        shutil.rmtree(unfinished)  # Another worker was faster.
    _sync(path.parent)


def _map(file, attempts=10):
    """Maps an array; again where Python stumbles over its own threads.

    NumPy parses the header of a file with `ast`, which fails now and then
    where several threads do so, up to Python 3.11.7 (python/cpython#106905).
    A lock could be held by another thread when a process is forked.
    """
    for attempt in range(attempts):
        try:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        except SystemError:
            if attempt + 1 == attempts:
                raise


def read_shard(path, name):
    """One column of a shard, mapped into memory."""
    file = path / f"{name}.npy"
    try:
        return _map(file)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"The file '{file}' of a teacher cache is missing or damaged: "
            f"{error}. Write the cache again with `overwrite=True`."
        ) from error


def read_manifest(folder):
    """The manifest of a cache, None if there is none."""
    try:
        text = (folder / MANIFEST).read_text()
    except FileNotFoundError:
        return None
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"'{folder / MANIFEST}' is no manifest of a cache.")
    return manifest


def write_manifest(folder, manifest):
    """Puts a manifest in the place of the one that is there, if any."""
    unfinished = folder / f"{MANIFEST}.tmp"
    with open(unfinished, "w") as file:
        json.dump({"format": FORMAT, **manifest}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / MANIFEST)
    _sync(folder)


def remove_shards(folder, first=0):
    """Removes unfinished shards, and those from the index `first` on."""
    for path in sorted(folder.glob("shard-*"), reverse=True):
        found = re.fullmatch(r"shard-(\d{5,})(\.\w{8}\.tmp)?", path.name)
        if found and (found[2] or int(found[1]) >= first):
            unfinished = path
            if not found[2]:  # From here on it is no shard.
                unfinished = path.with_name(f"{path.name}.00000000.tmp")
                os.rename(path, unfinished)
            shutil.rmtree(unfinished)


def clear(folder):
    """Removes a cache; the manifest first, so that nothing reads the rest."""
    (folder / MANIFEST).unlink(missing_ok=True)
    _sync(folder)
    remove_shards(folder)


@contextlib.contextmanager
def lock(folder):
    """Lets one process at a time write; it is free again when that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    key = str(folder.resolve())
    with open(folder / ".lock", "a+") as file:
        if key in _LOCKED or not _try_lock(file):
            raise RuntimeError(
                f"The cache '{folder}' is being written by somebody else. "
                "Wait until that is done, or choose another directory."
            )
        _LOCKED.add(key)
        try:
            yield
        finally:
            _LOCKED.discard(key)


def _try_lock(file):
    try:
        # Not `flock`, which processes that are forked would go on holding.
        import fcntl
    except ImportError:  # Windows.
        import msvcrt

        take, arguments = msvcrt.locking, (msvcrt.LK_NBLCK, 1)
    else:
        take, arguments = fcntl.lockf, (fcntl.LOCK_EX | fcntl.LOCK_NB,)
    try:
        take(file.fileno(), *arguments)
    except OSError:
        return False
    return True


def _sync(folder):
    """Puts the names in a folder on disk."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
