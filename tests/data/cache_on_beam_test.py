import keras
import numpy as np
import pytest

from keras_xkd.data import cache_teacher
from keras_xkd.data import cache_teacher_on_beam
from keras_xkd.data import take
from keras_xkd.data.teacher_records import shard_path
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights

SAMPLES, BATCH, SHARD = 25, 4, 10


class Batches(keras.utils.PyDataset):
    """`uneven` batches have sizes that differ."""

    def __init__(self, uneven=False):
        super().__init__()
        self.x, self.y = make_data(SAMPLES)
        self.x["sample_id"] = np.arange(SAMPLES)[::-1] * 2
        self.edges = [*range(0, SAMPLES, BATCH), SAMPLES]
        self.edges[2] -= uneven

    def __len__(self):
        return len(self.edges) - 1

    def __getitem__(self, index):
        rows = slice(*self.edges[index : index + 2])
        return take(self.x, rows), self.y[rows]


class Failing(Batches):
    """Breaks down in the middle."""

    def __getitem__(self, index):
        if index == 4:
            raise OSError("the disk is gone")
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    network = classifier("image", 6)
    set_weights(network)
    path = tmp_path_factory.mktemp("teacher") / "teacher.keras"
    network.save(path)
    return path


def on_beam(path, dataset, folder, **kwargs):
    cache_teacher_on_beam(path, dataset, folder, shard_size=SHARD, **kwargs)


def locally(path, dataset, folder, **kwargs):
    network = keras.saving.load_model(path)
    return cache_teacher(
        network, dataset, folder, shard_size=SHARD, verbose=0, **kwargs
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_files_as_the_local_job(path, tmp_path):
    locally(path, Batches(), tmp_path / "local", top_k=2)
    on_beam(path, Batches, tmp_path / "beam", top_k=2)
    wanted = contents(tmp_path / "local")
    assert len(wanted) == 3 * 6 + 2
    assert contents(tmp_path / "beam") == wanted
    # Nothing is left to do, for either.
    on_beam(path, Batches, tmp_path / "beam", top_k=2)
    found = locally(path, Batches(), tmp_path / "beam", top_k=2)
    outputs = found[1][0]["teacher_outputs"]["teacher"]
    assert sorted(outputs) == [
        "features", "logits_indices", "logits_rest", "logits_values"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="`version` is 'b', and was ''"):
        on_beam(path, Batches, tmp_path / "beam", top_k=2, version="b")


def test_goes_on_after_a_failure(path, tmp_path):
    x, y = make_data(SAMPLES)
    locally(path, (x, y), tmp_path / "local", batch_size=BATCH)
    arrays = Batches()
    del arrays.x["sample_id"]
    with pytest.raises(Exception, match="sample_id"):
        on_beam(path, arrays, tmp_path / "beam")
    with pytest.raises(Exception, match="the disk is gone"):
        on_beam(path, Failing(), tmp_path / "failing")
    folder = tmp_path / "failing" / "teacher"
    before = shard_path(folder, 0).stat()
    assert not list(folder.glob("*.tmp"))
    # Only what is missing is made; from arrays the files are the same.
    on_beam(path, Batches(), tmp_path / "failing")
    assert shard_path(folder, 0).stat().st_mtime_ns == before.st_mtime_ns
    locally(path, Batches(), tmp_path / "whole")
    assert contents(tmp_path / "failing") == contents(tmp_path / "whole")
    on_beam(path, (x, y), tmp_path / "arrays", batch_size=BATCH)
    assert contents(tmp_path / "arrays") == contents(tmp_path / "local")


def test_what_beam_cannot_do(path, tmp_path):
    with pytest.raises(Exception, match="All batches but the last"):
        on_beam(path, Batches(uneven=True), tmp_path / "uneven")
    with pytest.raises(ValueError, match="must have batches with an index"):
        on_beam(path, _loader(), tmp_path / "loader")


def _loader():
    import grain

    source = grain.MapDataset.source([Batches()[0]])
    return source.to_iter_dataset()
