import json
import pickle

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.data import add_teacher_outputs
from keras_xkd.data import cache_teacher
from keras_xkd.data import take
from keras_xkd.data.batches import kind_of
from keras_xkd.data.teacher_reader import TeacherReader
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.layers import CachedTeacher
from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import SoftTargets
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distiller_case import set_weights
from tests.distiller_case import snapshot
from tests.test_case import to_numpy

SAMPLES = 22
NATURAL = {"jax": "grain", "tensorflow": "tensorflow", "torch": "torch"}[
    keras.backend.backend()
]
KINDS = (
    "arrays",
    "py_dataset",
    "tensorflow",
    "torch",
    "grain",
    "grain_iter",
    "grain_loader",
)


def data(samples=SAMPLES):
    x, y = make_data(samples)
    # Not in order, and with gaps.
    ids = np.random.default_rng(1).permutation(samples) * 3 + 5
    return {**x, "sample_id": ids.astype("int64")}, y


def teacher(seed=0, **kwargs):
    model = classifier("image", 6, **kwargs)
    set_weights(model, seed)
    return model


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size, augment=0.0):
        super().__init__()
        self.x, self.y, self.size = x, y, batch_size
        self.augment = augment
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return -(-len(self.y) // self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        x = take(self.x, rows)
        if self.augment:
            noise = self.rng.normal(size=x["image"].shape) * self.augment
            x["image"] = x["image"] + noise
        return x, self.y[rows]


class Source:
    """Samples one by one, for torch and Grain."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return take(self.x, int(index)), self.y[int(index)]


def dataset(kind, x, y, batch_size=5, order=None):
    """A data set of a kind; `order` is that of the samples."""
    if order is not None:
        x, y = take(x, order), y[order]
    if kind == "arrays":
        return x, y
    if kind == "py_dataset":
        return Batches(x, y, batch_size)
    if kind == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    if kind == "torch":
        from torch.utils.data import DataLoader

        return DataLoader(Source(x, y), batch_size=batch_size)
    import grain

    if kind == "grain_loader":
        return grain.DataLoader(
            data_source=Source(x, y),
            sampler=grain.samplers.IndexSampler(len(y), num_epochs=1, seed=0),
            operations=[grain.transforms.Batch(batch_size)],
        )
    found = grain.MapDataset.source(Source(x, y)).batch(batch_size)
    return found.to_iter_dataset() if kind == "grain_iter" else found


def gather(found):
    """`{sample_id: row of each output}` of a data set with outputs."""
    rows = {}
    for batch in [found] if isinstance(found, tuple) else found:
        x = keras.tree.map_structure(np.asarray, batch[0])
        outputs = x["teacher_outputs"]["teacher"]
        for i, sample in enumerate(x["sample_id"].tolist()):
            rows[sample] = {name: v[i] for name, v in outputs.items()}
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind, tmp_path):
    x, y = data()
    network = teacher()
    first = cache_teacher(
        network, dataset(kind, x, y), tmp_path, verbose=0, shard_size=8
    )
    # Written once; then read in another order and in other batches.
    network.predict_on_batch = None
    order = np.random.default_rng(2).permutation(SAMPLES)
    other = dataset(kind, x, y, batch_size=7, order=order)
    second = cache_teacher(network, other, tmp_path, verbose=0)
    assert kind_of(second) == kind_of(other)
    expected = to_numpy(network(x["image"]))
    hidden = keras.Model(network.input, network.get_layer("hidden").output)
    features = to_numpy(hidden(x["image"]))
    for found in map(gather, (first, second, add_teacher_outputs(
        other, tmp_path
    ))):  # fmt: skip
        assert sorted(found) == sorted(x["sample_id"].tolist())
        for i, sample in enumerate(x["sample_id"].tolist()):
            row = found[sample]
            np.testing.assert_allclose(row["logits"], expected[i], atol=1e-6)
            np.testing.assert_allclose(row["features"], features[i], atol=1e-6)


def train(x, teacher, epochs=2):
    """The history and the weights after training on a data set."""
    student = classifier("audio", 4)
    set_weights(student, 5)
    distiller = CrossModalDistiller(student=student, teacher=teacher)
    for layers_ in distiller.projections.values():
        for layer in layers_.values():
            set_weights(layer, 6)
    distiller.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        {"soft": SoftTargets(), "match": FeatureMatching()},
    )
    arrays = isinstance(x, tuple)
    x, y = x if arrays else (x, None)
    options = {"batch_size": 5, "shuffle": False} if arrays else {}
    history = distiller.fit(x, y, epochs=epochs, verbose=0, **options)
    return history.history, snapshot(student)


@pytest.mark.parametrize("kind", ["arrays", NATURAL])
def test_training_is_that_of_the_live_teacher(kind, tmp_path):
    x, y = data()
    network = teacher(hidden=7, dropout=0.5, batch_norm=True)
    live = train(dataset(kind, x, y), network)
    cached = cache_teacher(network, dataset(kind, x, y), tmp_path, verbose=0)
    found = train(cached, CachedTeacher.from_cache(tmp_path))
    assert sorted(found[0]) == ["loss", "match_loss", "soft_loss", "task_loss"]
    for name, values in live[0].items():
        np.testing.assert_allclose(found[0][name], values, rtol=1e-6)
    for one, other in zip(found[1], live[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def cache(tmp_path, network=None, arrays=None, **kwargs):
    arrays = data() if arrays is None else arrays
    network = teacher() if network is None else network
    return cache_teacher(network, arrays, tmp_path, verbose=0, **kwargs)


def test_sample_id_is_the_row_by_default(tmp_path):
    x, y = make_data(7)
    x, labels = cache(tmp_path, arrays=(x, y), batch_size=3)
    np.testing.assert_array_equal(x["sample_id"], np.arange(7))
    assert labels is y
    # Then all rows are compared, and not only a few.
    other = {**make_data(7)[0]}
    other["image"] = other["image"].copy()
    other["image"][4] += 1
    with pytest.raises(
        ValueError, match=r"sample_id \[4\] is not what it read"
    ):
        cache(tmp_path, arrays=other, batch_size=1)
    assert sorted(cache(tmp_path, arrays=make_data(7)[0])) == sorted(x)


def test_float16(tmp_path):
    network = teacher()
    x, _ = cache(tmp_path, network, dtype="float16")
    stored = x["teacher_outputs"]["teacher"]
    assert stored["logits"].dtype == "float16"
    expected = to_numpy(network(x["image"])).astype("float16")
    np.testing.assert_allclose(stored["logits"], expected, atol=1e-3)
    files = list((tmp_path / "teacher" / "shard-00000").iterdir())
    names = ["features", "input_hash", "logits", "sample_id"]
    assert sorted(f.stem for f in files) == names
    found = CachedTeacher.from_cache(tmp_path)(x)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    network.get_layer("head").bias.assign([0.0, 1e5, 0.0])
    with pytest.raises(ValueError, match=r"as float16; use .*sample_id \["):
        cache(tmp_path / "large", network, dtype="float16")
    network.get_layer("head").bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match=r"'logits' of .* must be finite\. "):
        cache(tmp_path / "nan", network)


def test_several_teachers_and_outputs(tmp_path):
    x, y = data()
    inputs = keras.Input((6,), name="image")
    hidden = layers.Dense(4)(inputs)
    deep = {
        "tokens": layers.Reshape((2, 2))(hidden),
        "score": layers.Dense(1)(hidden),
        "top": keras.ops.argmax(hidden, axis=-1),
    }
    deep = keras.Model(inputs, deep)
    roles = {"audio": classifier("audio", 4), "image": deep}
    found, _ = cache(tmp_path, roles, (x, y))
    outputs = found["teacher_outputs"]
    assert sorted(outputs["audio"]) == ["features", "logits"]
    assert sorted(outputs["image"]) == ["score", "tokens", "top"]
    assert outputs["image"]["top"].dtype.kind == "i"
    wanted = to_numpy(deep(x["image"])["tokens"])
    np.testing.assert_allclose(outputs["image"]["tokens"], wanted, atol=1e-6)
    stand_in = CachedTeacher.from_cache(tmp_path, "image")
    assert sorted(stand_in(found)) == ["score", "tokens", "top"]
    # A third teacher comes later; one output of a teacher can be chosen.
    more, _ = cache(tmp_path, teacher(), (found, y), role="new")
    assert sorted(more["teacher_outputs"]) == ["audio", "image", "new"]
    one, _ = cache(tmp_path / "one", deep, (x, y), outputs=["score"])
    assert sorted(one["teacher_outputs"]["teacher"]) == ["score"]
    with pytest.raises(ValueError, match=r"ask for \['logits'\], but"):
        cache(tmp_path / "none", deep, (x, y), outputs=["logits"])
    with pytest.raises(ValueError, match="features"):
        cache(tmp_path / "none", deep, (x, y), outputs=["features"])


def test_layers_and_subclassed_networks(tmp_path):
    class Own(keras.Model):
        modalities = ("image",)

        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x["image"])

    class OwnLayer(layers.Layer):
        modalities = "image"

        def build(self, shape):
            self.built = True

        def call(self, x):
            return {"tokens": x[:, None]}

    x, y = data()
    model, layer = Own(), OwnLayer()
    expected = to_numpy(model({"image": x["image"]}))
    layer(x["image"])
    for _ in range(2):
        found, _ = cache(tmp_path, {"model": model, "layer": layer}, (x, y))
    outputs = found["teacher_outputs"]
    np.testing.assert_allclose(outputs["model"]["logits"], expected, atol=1e-6)
    np.testing.assert_array_equal(
        outputs["layer"]["tokens"], x["image"][:, None]
    )
    logits = CachedTeacher.from_cache(tmp_path, "model")(found)
    np.testing.assert_allclose(to_numpy(logits), expected, atol=1e-6)


def test_absent_samples(tmp_path):
    x, y = data()
    mask = (np.arange(SAMPLES) % 3 > 0).astype("float32")
    x["image"] = np.where(mask[:, None] > 0, x["image"], np.nan)
    x["present"] = {"image": mask}
    live = train((x, y), teacher())
    found = cache(tmp_path, arrays=(x, y))
    stored = found[0]["teacher_outputs"]["teacher"]
    np.testing.assert_array_equal(stored["present"], mask)
    del found[0]["image"], found[0]["present"]  # Nobody reads it any more.
    cached = train(found, CachedTeacher.from_cache(tmp_path))
    for name, values in live[0].items():
        np.testing.assert_allclose(cached[0][name], values, rtol=1e-6)


def test_workers_that_live_on_are_not_taken_over(tmp_path):
    arrays = data()
    loader = dataset("torch", *arrays)
    loader._iterator = iter(loader)
    cache(tmp_path, arrays=arrays)
    found = add_teacher_outputs(loader, tmp_path)
    assert found._iterator is None and loader._iterator is not None
    assert len(gather(found)) == SAMPLES


def refused(reason, tmp_path, *args, **kwargs):
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f"does not fit: .*{reason}"):
        cache(tmp_path, *args, **kwargs)
    assert contents(tmp_path) == before


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_stale_cache_is_refused(tmp_path):
    network = teacher()
    cache(tmp_path, network, version="a")
    network.trainable = False  # Changes no output.
    network.compile("sgd", "mse")
    cache(tmp_path, network, version="a")
    cache(tmp_path, teacher(name=network.name), version="a")  # Made again.
    refused("`version` is 'b', and was 'a'", tmp_path, version="b")
    refused("`dtype` is float16", tmp_path, version="a", dtype="float16")
    refused("`outputs` is", tmp_path, version="a", outputs=["logits"])
    refused("`top_k` is 2, and was None", tmp_path, version="a", top_k=2)
    network = teacher(dropout=0.1)
    refused("the configuration of", tmp_path, network, version="a")
    x, y = data()
    x["image"] = x["image"] + 1e-6
    refused("what the teacher reads", tmp_path, None, (x, y), version="a")
    network = teacher()
    network.get_layer("hidden").kernel.assign_add(
        1e-6 * np.ones((6, 5), "float32")
    )
    refused("the weights of the teacher are", tmp_path, network, version="a")
    found, _ = cache(tmp_path, network, version="b", overwrite=True)
    expected = to_numpy(network(found["image"]))
    stored = found["teacher_outputs"]["teacher"]["logits"]
    np.testing.assert_allclose(stored, expected, atol=1e-6)
    cache(tmp_path, network, version="b")


def written(folder):
    """When each file was written last."""
    files = sorted(p for p in folder.rglob("shard-*/*") if p.is_file())
    assert files
    return [(path.name, path.stat().st_mtime_ns) for path in files]


def test_a_teacher_made_again_is_the_same(tmp_path):
    def make():
        inputs = keras.Input((6,), name="image")
        inner = keras.Sequential([layers.Dense(4), layers.ReLU()])
        outputs = layers.Dense(3)(layers.Dropout(0.5)(inner(inputs)))
        model = keras.Model(inputs, outputs)
        set_weights(model)
        return model

    network = make()
    cache(tmp_path / "cache", network)
    before = written(tmp_path / "cache")
    network.save(tmp_path / "teacher.keras")
    loaded = keras.saving.load_model(tmp_path / "teacher.keras")
    # Keras gives other names to the layers of the first.
    for again in (make(), loaded):
        found, _ = cache(tmp_path / "cache", again)
        stored = found["teacher_outputs"]["teacher"]["logits"]
        expected = to_numpy(network(found["image"]))
        np.testing.assert_allclose(stored, expected, atol=1e-6)
    assert written(tmp_path / "cache") == before
    refused("weights", tmp_path / "cache", teacher())


def test_random_augmentation_is_refused(tmp_path):
    x, y = data()
    message = "something random"
    augmented = Batches(x, y, 4, augment=0.1)
    with pytest.raises(ValueError, match=message):
        cache(tmp_path / "new", arrays=augmented)
    cache(tmp_path / "old", arrays=Batches(x, y, 4))
    with pytest.raises(ValueError, match=message):
        cache(tmp_path / "old", arrays=augmented)
    # What the student alone reads may change.
    x["image"], x["audio"] = x["audio"], x["image"]
    network = classifier("audio", 6)
    cache(tmp_path / "student", network, Batches(x, y, 4, augment=0.1))


def test_wrong_sample_ids(tmp_path):
    x, y = data()
    network = teacher()
    twice = {**x, "sample_id": x["sample_id"] * 0 + 4}
    for arrays in ((twice, y), Batches(twice, y, 1)):
        with pytest.raises(ValueError, match=r"twice: sample_id \[4\]"):
            cache(tmp_path, network, arrays)
    without = {name: x[name] for name in ("audio", "image")}
    with pytest.raises(ValueError, match="must have an entry 'sample_id'"):
        cache(tmp_path, network, Batches(without, y, 4))
    half = {**x, "sample_id": x["sample_id"] / 2}
    with pytest.raises(ValueError, match="must be whole numbers"):
        cache(tmp_path, network, (half, y))
    cache(tmp_path, network, (x, y))
    more, labels = data(SAMPLES + 3)
    with pytest.raises(ValueError, match=r"of 22 samples lacks sample_id \["):
        add_teacher_outputs((more, labels), tmp_path)
    with pytest.raises(ValueError, match="lacks sample_id"):
        cache(tmp_path, network, Batches(more, labels, 25))


def test_wrong_arguments(tmp_path):
    x, y = data()
    for match, changed in {
        "`dtype` must be": {"dtype": "int8"},
        "`top_k` must be a": {"top_k": 0},
        "`top_k` must be at most 3": {"top_k": 4},
        "`outputs` must be": {"outputs": "logits"},
        "`top_k` is about logits": {"outputs": ["features"], "top_k": 1},
        "A role must be": {"role": "../here"},
        "`verbose` must be": {"verbose": 3},
        "`shard_size` must be": {"shard_size": 0},
        "`batch_size` must be": {"batch_size": 0},
    }.items():
        with pytest.raises(ValueError, match=match):
            cache_teacher(
                teacher(), (x, y), tmp_path, **{"verbose": 0, **changed}
            )
    for match, arguments in {
        "must be a built": (layers.Dense(3), (x, y)),
        "can be iterated again": (teacher(), iter([(x, y)])),
        "Received: dataset of type ndarray": (teacher(), x["image"]),
        "needs \\['image'\\]": (teacher(), {"audio": x["audio"]}),
        "empty": (teacher(), take(x, slice(0, 0))),
    }.items():
        with pytest.raises(ValueError, match=match):
            cache_teacher(arguments[0], arguments[1], tmp_path, verbose=0)
    with pytest.raises(ValueError, match="is not there"):
        CachedTeacher.from_cache(tmp_path, "nobody")
    with pytest.raises(ValueError, match="is not there"):
        add_teacher_outputs((x, y), tmp_path, ["nobody"])


def test_progress_bar(tmp_path, capsys):
    cache(tmp_path / "quiet")
    assert capsys.readouterr().out == ""
    cache_teacher(teacher(), data(), tmp_path / "loud", batch_size=8)
    assert "3/3" in capsys.readouterr().out
    cache_teacher(teacher(), data(), tmp_path / "loud")
    assert capsys.readouterr().out == ""


def test_outputs_of_changing_shape_are_refused(tmp_path):
    inputs = keras.Input((None, 2), name="text")
    network = keras.Model(inputs, {"tokens": inputs * 2.0})

    class Ragged(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            x = np.ones((2, 3 + index, 2), "float32")
            return {"text": x, "sample_id": np.arange(2) + 2 * index}

    with pytest.raises(ValueError, match="same shape in every batch"):
        cache(tmp_path, network, Ragged())


def test_padding_is_no_other_data(tmp_path):
    inputs = keras.Input((None, 2), name="text")
    network = keras.Model(inputs, {"features": keras.ops.sum(inputs, axis=1)})
    text = np.zeros((4, 6, 2), "float32")
    text[:, :3] = np.random.default_rng(0).normal(size=(4, 3, 2))
    ids = np.arange(4)
    cache(tmp_path, network, {"text": text, "sample_id": ids})
    cache(tmp_path, network, {"text": text[:, :3], "sample_id": ids})
    with pytest.raises(ValueError, match="what the teacher reads"):
        cache(tmp_path, network, {"text": text[:, :2], "sample_id": ids})


def test_manifest_and_reader(tmp_path):
    x, y = data()
    cache(tmp_path, arrays=(x, y), shard_size=8)
    manifest = json.loads((tmp_path / "teacher/manifest.json").read_text())
    assert manifest["complete"] and manifest["samples"] == SAMPLES
    assert manifest["outputs"]["logits"] == {"shape": [3], "dtype": "float32"}
    shards = sorted((tmp_path / "teacher").glob("shard-*"))
    sizes = [len(np.load(path / "sample_id.npy")) for path in shards]
    assert sizes == [8, 8, 6]
    reader = TeacherReader(tmp_path / "teacher", only=["logits"])
    ids = x["sample_id"][[3, 3, 20]]
    found = reader.read(ids)
    assert list(found) == ["logits"] and found["logits"].shape == (3, 3)
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again.read(ids)["logits"], found["logits"])


def test_warns_where_a_configuration_is_not_known(tmp_path):
    class Scaled(keras.Model):
        modalities = ("image",)

        def __init__(self, by):
            super().__init__()
            self.by = by
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.by * self.dense(x["image"])

        def get_config(self):
            raise NotImplementedError

    x, y = data()
    network = Scaled(2.0)
    network({"image": x["image"]})
    cache_teacher(network, (x, y), tmp_path, verbose=0)
    with pytest.warns(UserWarning, match="no `get_config`.*`version`"):
        cache_teacher(network, (x, y), tmp_path, verbose=0)
