"""What is written, read back by TensorFlow from the files of events."""

import importlib.util
import io
import pathlib

import keras
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_xkd.callbacks import TensorBoard
from keras_xkd.callbacks import tensor_board
from keras_xkd.distillers import CMCD
from keras_xkd.distillers import CrossModalDistiller
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distillers.two_players import make_two_players
from tests.test_case import to_numpy


def read(folder):
    """`{tag: {step: value}}` of a run; images as their bytes."""
    import tensorflow as tf

    found = {}
    for path in sorted(pathlib.Path(folder).glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                tensor = tf.make_ndarray(value.tensor)
                if plugin == "scalars":
                    assert value.metadata.data_class == 1
                    assert tensor.dtype == "float32"
                    tensor = float(tensor)
                else:
                    assert plugin == "images"
                    assert value.metadata.data_class == 3
                found.setdefault(value.tag, {})[event.step] = tensor
    return found


def test_two_players(tmp_path):
    def draw(model, epoch):
        figure = Figure((2, 1), dpi=50)
        figure.subplots().plot([0, epoch])
        return {"line": figure}

    distiller = make_two_players()
    distiller.compile(
        {"student": "sgd", "critic": keras.optimizers.Adam(0.125)},
        "sparse_categorical_crossentropy",
        loss_weights={"fool": 0.5},
    )
    x, y = make_data(audio=4)
    board = TensorBoard(
        tmp_path / "logs",
        embeddings={"all of it": (x, y), "all-of-it": x["audio"]},
        figures=draw,
        freq=2,
    )
    history = distiller.fit(
        x, y, epochs=3, validation_split=0.25, verbose=0, callbacks=[board]
    ).history
    train = read(tmp_path / "logs" / "train")
    validation = read(tmp_path / "logs" / "validation")
    logs = ("loss", "task_loss", "fool_loss", "critic_loss", "mean_score")
    for name in logs:
        for found, key in ((train, name), (validation, f"val_{name}")):
            values = [found[f"epoch_{name}"][step] for step in range(3)]
            np.testing.assert_allclose(values, history[key], rtol=1e-6)
    assert train["epoch_learning_rate_critic"] == dict.fromkeys(range(3), 0.125)
    rate = train["epoch_learning_rate_student"][2]
    assert rate == pytest.approx(0.01)
    assert train["epoch_fool_loss_weight"][0] == 0.5
    assert train["epoch_task_loss_weight"][0] == 1.0
    # One picture, of the second epoch.
    ((step, (width, height, png)),) = train["line"].items()
    assert (step, width, height) == (1, b"100", b"50")
    pixels = matplotlib.image.imread(io.BytesIO(png))
    assert pixels.shape[:2] == (50, 100) and pixels.std() > 0
    # The features of the trained student, and the labels of one.
    folder = tmp_path / "logs" / "train"
    config = (folder / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 2
    assert 'tensor_name: "all of it"' in config
    assert 'metadata_path: "embeddings/0_all_of_it_labels.tsv"' in config
    hidden = distiller.student.get_layer("hidden")
    expected = to_numpy(hidden(keras.ops.convert_to_tensor(x["audio"])))
    for name in ("0_all_of_it", "1_all_of_it"):
        rows = np.loadtxt(folder / "embeddings" / f"{name}.tsv")
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
    labels = np.loadtxt(folder / "embeddings" / "0_all_of_it_labels.tsv")
    np.testing.assert_array_equal(labels, y)


def test_batches_of_an_encoder(tmp_path, monkeypatch):
    x, _ = make_data(samples=9)
    student = classifier("audio", 4)  # Returns its features.
    distiller = CMCD(student=student, teacher=classifier("image", 6))
    distiller.compile("sgd")
    monkeypatch.setattr(tensor_board.projector, "BATCH", 4)
    board = TensorBoard(
        tmp_path,
        embeddings={"a": (x, ["one\ttwo\n"] * 9)},
        update_freq="batch",
    )
    distiller.fit(x, batch_size=5, epochs=1, verbose=0, callbacks=[board])
    train = read(tmp_path / "train")
    assert list(train["batch_distillation_loss"]) == [1, 2]
    rows = np.loadtxt(tmp_path / "train" / "embeddings" / "0_a.tsv")
    expected = student.predict(x["audio"], verbose=0)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
    labels = tmp_path / "train" / "embeddings" / "0_a_labels.tsv"
    assert labels.read_text().splitlines() == ["one two"] * 9


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_board, "is_first_process", lambda: False)
    x, y = make_data()
    distiller = CrossModalDistiller(
        student=classifier("audio", 4), teacher=classifier("image", 6)
    )
    distiller.compile("sgd")
    board = TensorBoard(tmp_path, embeddings={"x": x}, figures=lambda m, e: {})
    distiller.fit(x, verbose=0, validation_split=0.5, callbacks=[board])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings": [1]}, "`embeddings` must be a dict"),
        ({"figures": {}}, "`figures` must be a function"),
        ({"freq": 0}, "`freq` must be"),
        ({"embeddings": {"a": (np.zeros((3, 2)), [1])}}, "3 samples"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard("logs", **arguments)


def test_missing_packages(monkeypatch):
    missing = {"tensorboard"}
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in missing else find(name),
    )
    with pytest.raises(ImportError, match="pip install tensorboard"):
        TensorBoard("logs", histogram_freq=1)
    missing.add("tensorflow")
    with pytest.raises(ImportError, match="pip install tensorflow"):
        TensorBoard("logs")


def test_features_that_cannot_be_found(tmp_path):
    one = keras.Input((4,), name="audio")
    heads = {"logits": keras.layers.Dense(3)(one), "other": one}
    distiller = CrossModalDistiller(
        student=keras.Model(one, heads), teacher=classifier("image", 6)
    )
    distiller.compile("sgd")
    x, _ = make_data()
    board = TensorBoard(tmp_path, embeddings={"x": x})
    with pytest.raises(ValueError, match="'features' of"):
        distiller.fit(x, verbose=0, callbacks=[board])
