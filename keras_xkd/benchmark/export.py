"""Which students can be exported on a backend, and predict the same then."""

import contextlib
import os
import pathlib
import tempfile
import warnings

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark.table import table
from keras_xkd.models import LateFusion

# The format, and whether sizes of batch and length are open.
FORMATS = {
    "SavedModel": ("tf_saved_model", True),
    "ONNX": ("onnx", True),
    "ONNX, fixed sizes": ("onnx", False),
}
CLASSES = 3
TOLERANCE = 1e-3  # Of logits around 1; a student that differs more is broken.


def dense(modality="audio", units=CLASSES):
    inputs = keras.Input((8,), name=modality)
    hidden = layers.Dense(16, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(units)(hidden))


def convolutional(units=CLASSES):
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x))
    return keras.Model(inputs, layers.Dense(units)(x))


def late_fusion():
    encoders = {"audio": dense(units=8), "image": convolutional(8)}
    return LateFusion(encoders, CLASSES, fusion="attention")


def text(length=None):
    """A classifier on a small BERT of keras-hub."""
    backbone = _keras_hub().models.BertBackbone(
        vocabulary_size=40,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=16,
    )
    inputs = {
        name: keras.Input((length,), dtype="int32", name=name)
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    x = backbone(inputs)["pooled_output"]
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def vision_transformer():
    backbone = _keras_hub().models.ViTBackbone(
        image_shape=(16, 16, 3),
        patch_size=4,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )
    inputs = keras.Input((16, 16, 3), name="image")
    return keras.Model(inputs, layers.Dense(CLASSES)(backbone(inputs)[:, 0]))


STUDENTS = {
    "dense": dense,
    "convolutional": convolutional,
    "LateFusion of two modalities": late_fusion,
    "keras-hub BERT, any length": text,
    "keras-hub BERT, 12 tokens": lambda: text(12),
    "keras-hub ViT": vision_transformer,
}


def _keras_hub():
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "Two of the students are made of keras-hub, which is not "
            'installed: `pip install "keras-xkd[hub]"`.',
            name="keras_hub",
        ) from error
    return keras_hub


def samples(student, count):
    """Random inputs of a student, a dict, or an array if it reads one."""
    rng = np.random.default_rng(0)
    tokens = {
        "token_ids": rng.integers(1, 40, (count, 12)),
        "segment_ids": rng.integers(0, 2, (count, 12)),
        "padding_mask": np.arange(12) < rng.integers(3, 12, (count, 1)),
    }
    known = {
        "audio": rng.normal(size=(count, 8)).astype("float32"),
        "image": rng.normal(size=(count, 16, 16, 3)).astype("float32"),
        **{name: value.astype("int32") for name, value in tokens.items()},
    }
    if isinstance(student, LateFusion):
        return {name: known[name] for name in student.modalities}
    if isinstance(student.input, dict):
        return {name: known[name] for name in student.input}
    return known[student.input.name]


def difference(student, title, folder):
    """Exports a student, and how far its predictions are then from before."""
    format, is_open = FORMATS[title]
    x = samples(student, 5)
    expected = keras.ops.convert_to_numpy(student(x))  # Keras wants a call.
    path = str(pathlib.Path(folder) / "student")
    path += ".onnx" if format == "onnx" else ""
    signature = None
    if not is_open:
        signature = [_specs(x)]
    student.export(path, format, verbose=False, input_signature=signature)
    found = (_run_onnx if format == "onnx" else _run_saved_model)(path, x)
    return float(np.abs(found - expected).max())


def _specs(x, name="inputs"):
    if isinstance(x, dict):
        return {key: _specs(value, key) for key, value in x.items()}
    return keras.InputSpec(x.dtype, x.shape, name=name)


def _run_saved_model(path, x):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return np.array(loaded.serve(x))


def _run_onnx(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [node.name for node in session.get_inputs()]
    if not isinstance(x, dict):
        x = {names[0]: x}
    return session.run(None, {name: x[name] for name in names})[0]


def attempt(student, title):
    """What came of an export: a dict with `works` and `detail`."""
    try:
        with _silent(), tempfile.TemporaryDirectory() as folder:
            found = difference(STUDENTS[student](), title, folder)
    except Exception as error:  # Whatever exporters raise is the result.
        if isinstance(error, ImportError) and error.name == "keras_hub":
            raise
        reason = " ".join(str(error).split())[:200]
        return {"works": False, "detail": f"{type(error).__name__}: {reason}"}
    return {"works": found < TOLERANCE, "detail": f"differs by {found:.0e}"}


@contextlib.contextmanager
def _silent():
    """Drops what exporters print, in Python and in C, and their warnings."""
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
            warnings.simplefilter("ignore")
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            with (
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
            ):
                yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def run(seeds, output, quick=False, arguments=("benchmark", "export")):
    """Prints and writes the table of the running backend."""
    backend = keras.backend.backend()
    students = ["dense"] if quick else list(STUDENTS)
    results = {
        student: {title: attempt(student, title) for title in FORMATS}
        for student in students
    }
    rows = [
        [student, *("yes" if cell["works"] else "no" for cell in row.values())]
        for student, row in results.items()
    ]
    print(table([f"`export` on {backend}", *FORMATS], rows))
    for student, row in results.items():
        for title, cell in row.items():
            print(f"{student}, {title}: {cell['detail']}")
    print(f"\n{record.describe()}")
    path = pathlib.Path(output) / f"export_{backend}.json"
    record.write(path, {"exports": results}, arguments, seeds)
    return results
