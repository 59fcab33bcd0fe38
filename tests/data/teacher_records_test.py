import concurrent.futures
import json
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_xkd.data import teacher_reader
from keras_xkd.data.teacher_reader import TeacherReader
from keras_xkd.data.teacher_records import lock
from keras_xkd.data.teacher_records import remove_shards
from keras_xkd.data.teacher_records import role_folder
from keras_xkd.data.teacher_records import shard_path
from keras_xkd.data.teacher_records import write_manifest
from keras_xkd.data.teacher_records import write_shard

SHARD, SAMPLES = 16, 50


@pytest.fixture
def records(tmp_path):
    """A cache of `SAMPLES` samples, and its arrays by column."""
    rng = np.random.default_rng(0)
    arrays = {
        "features": rng.normal(size=(SAMPLES, 3)).astype("float16"),
        "tokens": rng.normal(size=(SAMPLES, 2, 4)).astype("float32"),
        "sample_id": 7 * rng.permutation(SAMPLES).astype("int64") - 20,
        "input_hash": rng.integers(0, 2**64, SAMPLES, dtype="uint64"),
    }
    folder = tmp_path / "teacher"
    folder.mkdir()
    for index in range(-(-SAMPLES // SHARD)):
        rows = slice(index * SHARD, (index + 1) * SHARD)
        shard = {name: values[rows] for name, values in arrays.items()}
        write_shard(shard_path(folder, index), shard)
    columns = {
        name: {
            "shape": arrays[name].shape[1:],
            "dtype": str(arrays[name].dtype),
        }
        for name in ("features", "tokens")
    }
    write_manifest(
        folder,
        {
            "columns": columns,
            "shard_size": SHARD,
            "complete": True,
            "samples": SAMPLES,
        },
    )
    return folder, arrays


def check(reader, arrays, rows):
    found = reader.read(arrays["sample_id"][rows])
    assert sorted(found) == ["features", "tokens"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, arrays[name][rows])
        assert values.dtype == arrays[name].dtype


def test_reads_rows_in_any_order(records):
    folder, arrays = records
    reader = TeacherReader(folder)
    assert len(reader) == SAMPLES
    for rows in ([3], [49, 0, 17, 17, 3], [], np.arange(SAMPLES)[::-1]):
        check(reader, arrays, np.array(rows, int))
    ids = arrays["sample_id"]
    np.testing.assert_array_equal(reader.hashes(ids), arrays["input_hash"])
    found = reader.read(ids[:, None].astype("int32"))["features"]
    np.testing.assert_array_equal(found, arrays["features"])
    with pytest.raises(ValueError, match=r"lacks sample_id \[1000, -21\]"):
        reader.read([ids[0], 1000, -21])
    with pytest.raises(ValueError, match="must be whole numbers"):
        reader.read(ids / 2)


def test_few_files_are_open_at_a_time(records, monkeypatch):
    folder, arrays = records
    monkeypatch.setattr(teacher_reader, "_MOST_OPEN", 2)
    reader = TeacherReader(folder)
    for _ in range(2):
        check(reader, arrays, np.arange(SAMPLES))
    assert len(reader._maps) <= 3


def test_threads_and_pickles(records):
    folder, arrays = records
    reader = TeacherReader(folder)
    rng = np.random.default_rng(1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(check, reader, arrays, rng.integers(0, SAMPLES, 9))
            for _ in range(200)
        ]
        for job in jobs:
            job.result()
    again = pickle.loads(pickle.dumps(reader))
    assert not again._maps
    check(again, arrays, np.arange(SAMPLES))


def test_headers_read_at_the_same_time(records, monkeypatch):
    """Python's parser may fail in threads; it is asked again."""
    folder, arrays = records
    load, left = np.load, [3]

    def stumbling(*args, **kwargs):
        left[0] -= 1
        if left[0] >= 0:
            raise SystemError("AST constructor recursion depth mismatch")
        return load(*args, **kwargs)

    monkeypatch.setattr(np, "load", stumbling)
    check(TeacherReader(folder), arrays, np.arange(SAMPLES))
    left[0] = 1000
    with pytest.raises(SystemError, match="recursion depth"):
        check(TeacherReader(folder), arrays, np.arange(SAMPLES))
    assert left[0] == 990


def test_damaged_files(records):
    folder, arrays = records
    file = shard_path(folder, 1) / "tokens.npy"
    whole = file.read_bytes()
    for damage in (whole[:-1], whole[:20], b"", None):
        file.write_bytes(damage) if damage is not None else file.unlink()
        with pytest.raises(ValueError, match=f"{file}' .* missing or damaged"):
            check(TeacherReader(folder), arrays, np.arange(SAMPLES))
    remove_shards(folder, first=2)
    with pytest.raises(ValueError, match="must have 50 samples.* with 32"):
        TeacherReader(folder).read([1])
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="is no manifest"):
        TeacherReader(folder)


def test_a_shard_is_never_replaced(records):
    folder, arrays = records
    other = {name: values[:3] for name, values in arrays.items()}
    write_shard(shard_path(folder, 0), other)
    check(TeacherReader(folder), arrays, np.arange(SAMPLES))
    assert not list(folder.glob("*.tmp"))


def test_only_shards_are_removed(records):
    folder, _ = records
    for name in ("shard-00001.mine", "shard-1", "notes"):
        (folder / name).mkdir()
    (folder / "shard-00009.0123abcd.tmp").mkdir()
    remove_shards(folder)
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["manifest.json", "notes", "shard-00001.mine", "shard-1"]


def test_one_writer_at_a_time(tmp_path):
    folder = role_folder(tmp_path, "teacher")
    with lock(folder):
        with pytest.raises(RuntimeError, match="is being written by somebody"):
            with lock(folder):
                pass
        with lock(role_folder(tmp_path, "other")):
            pass
    with lock(folder):
        pass


# Files are written alike on every backend: one is enough.
if keras.backend.backend() == "torch":

    @pytest.mark.slow
    def test_killed_jobs_go_on(tmp_path):
        """At 20 random places and by a signal: the same bytes in the end."""
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "tests.data.interrupted",
                tmp_path,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout.splitlines()[-1])
        assert report["reproducible"]
        assert len({place for place, *_ in report["runs"]}) == 20
        for place, code, whole, resumed, same in report["runs"]:
            assert code == 9, f"The job was not killed at place {place}."
            assert (whole, resumed, same) == (True, 0, True), place
        for second, code, whole, resumed, same in report["killed"]:
            assert second == 3, "A second writer was not refused."
            assert code == -9
            assert (whole, resumed, same) == (True, 0, True)
