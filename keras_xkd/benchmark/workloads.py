"""What the benchmarks of speed train: methods, networks, weights and data.

Weights and data are made by NumPy, so that every backend starts from the same
numbers.
"""

import dataclasses
import zlib

import keras
import numpy as np

from keras_xkd.benchmark.workloads_networks import FULL
from keras_xkd.benchmark.workloads_networks import SIZES
from keras_xkd.benchmark.workloads_networks import TINY
from keras_xkd.benchmark.workloads_networks import input_shape
from keras_xkd.benchmark.workloads_networks import network
from keras_xkd.benchmark.workloads_networks import perturb
from keras_xkd.distillers import AMID
from keras_xkd.distillers import CMCD
from keras_xkd.distillers import MKE
from keras_xkd.distillers import UMT
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.losses import CrossModalContrast
from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import SimilarityDistribution
from keras_xkd.losses import SoftTargets
from keras_xkd.models import LateFusion

METHODS = ("kd", "features", "cmd", "cmc", "amid", "umt", "mke")
CLASSES = 10
BATCHES = 4  # As many different batches, if not told otherwise.
LOSSES = {
    "kd": SoftTargets,
    "features": FeatureMatching,
    "cmd": SimilarityDistribution,
    "cmc": CrossModalContrast,
}


@dataclasses.dataclass
class Workload:
    """One method on networks of one size, ready to train.

    Attributes:
        method, size: One of `METHODS` and one of `SIZES`.
        shape: The `Shape` of the networks.
        networks: A dict `{role: network}`; the student is among them.
        distiller: The compiled distiller.
        x: A dict `{modality: array}`.
        y: What `fit` takes as labels: None where the method uses none.
        labels: The classes of the samples, for every method.
        batch_size: Number of samples in a batch.
    """

    method: str
    size: str
    shape: object
    networks: dict
    distiller: keras.Model
    x: dict
    y: object
    labels: np.ndarray
    batch_size: int

    @property
    def student(self):
        return self.distiller.student

    def batches(self):
        """The data as a list of batches `(x, y)`, or `(x,)` without labels."""
        size = self.batch_size
        batches = []
        for start in range(0, len(self.labels) - size + 1, size):
            rows = slice(start, start + size)
            x = {name: value[rows] for name, value in self.x.items()}
            batches.append((x,) if self.y is None else (x, self.y[rows]))
        return batches


def make(
    method,
    size,
    seed=0,
    batch_size=None,
    samples=None,
    optimizer=None,
    tiny=False,
    same_inputs=False,
    **compile_kwargs,
):
    """Makes a workload.

    Frozen networks are no trained ones: their bodies are random, and their
    heads are fitted to the data in closed form, so that they are right.

    Args:
        method: One of `METHODS`.
        size: One of `SIZES`.
        seed: Of the weights and the data.
        batch_size: Number of samples in a batch; by default that of the size.
        samples: Number of samples, by default four batches.
        optimizer: What `compile` takes; by default Adam with rate 0.001.
        tiny: Whether to make the networks and inputs as small as possible.
        same_inputs: Whether the teacher of `"kd"` and `"features"` reads what
            the student reads, as `keras.distillation` needs it.
        **compile_kwargs: Further arguments of `compile`.

    Returns:
        A `Workload`.
    """
    if method not in METHODS or size not in SIZES:
        raise ValueError(
            f"`method` must be one of {METHODS} and `size` one of {SIZES}. "
            f"Received: method={method!r}, size={size!r}"
        )
    shape = (TINY if tiny else FULL)[size]
    batch_size = batch_size or shape.batch_size
    samples = samples or BATCHES * batch_size
    networks = _networks(method, size, shape, same_inputs)
    x, labels = data(shape, samples, seed)
    if same_inputs:
        x = {"audio": x["audio"]}
    distiller = _distiller(method, networks)
    set_weights(distiller, seed)
    for role, own in networks.items():
        if role.startswith("teacher") and "logits" in own.output:
            if method != "amid":
                fit_head(own, x, labels, batch_size)
    if optimizer is None:
        optimizer = keras.optimizers.Adam(1e-3)
    if method in LOSSES:
        compile_kwargs = {"distillation_loss": LOSSES[method]()} | (
            compile_kwargs
        )
    labelled = method not in ("cmd", "cmc", "mke")
    if labelled:
        compile_kwargs = {"loss": "sparse_categorical_crossentropy"} | (
            compile_kwargs
        )
    distiller.compile(optimizer, **compile_kwargs)
    y = labels if labelled else None
    return Workload(
        method, size, shape, networks, distiller, x, y, labels, batch_size
    )


def _networks(method, size, shape, same_inputs):
    """The networks by role."""
    both = ("audio", "image")
    reads = {
        "amid": {"student": "audio", "teacher": both, "auxiliary": "image"},
        "umt": {
            "audio": "audio",
            "image": "image",
            "teacher_audio": "audio",
            "teacher_image": "image",
        },
        "mke": {"student": both, "teacher": "image"},
    }.get(method, {"student": "audio", "teacher": "image"})
    if same_inputs:
        reads = {"student": "audio", "teacher": "audio"}
    networks = {}
    for role, modalities in reads.items():
        if isinstance(modalities, str):
            modalities = (modalities,)
        encoder = method in ("cmd", "cmc") or role in both
        classes = None if encoder else CLASSES
        networks[role] = network(size, shape, modalities, classes, role)
    if method == "umt":
        encoders = {name: networks[name] for name in both}
        student = LateFusion(encoders, CLASSES, name="student")
        networks = {"student": student, **networks}
    return networks


def _distiller(method, networks):
    if method in ("kd", "features"):
        return CrossModalDistiller(**networks)
    if method in ("cmd", "cmc"):
        return CMCD(**networks)
    if method == "amid":
        return AMID(**networks)
    if method == "mke":
        return MKE(**networks, perturbation=perturb)
    teachers = {m: networks[f"teacher_{m}"] for m in ("audio", "image")}
    return UMT(student=networks["student"], teachers=teachers)


def set_weights(model, seed):
    """Sets every matrix and filter of a model to numbers made by NumPy."""
    for index, variable in enumerate(model.weights):
        if "kernel" not in variable.path.split("/")[-1]:
            continue  # Biases, scales and states start from constants.
        rng = np.random.default_rng([seed, index])
        deviation = np.sqrt(2 / np.prod(variable.shape[:-1]))
        values = deviation * rng.standard_normal(variable.shape)
        variable.assign(values.astype("float32"))


def data(shape, samples, seed=0):
    """Noisy patterns, one for each class and modality, and the classes."""
    labels = np.arange(samples) % CLASSES
    x = {}
    for name, size in shape.inputs.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        patterns = rng.standard_normal((CLASSES, *size))
        noise = rng.standard_normal((samples, *size))
        values = (patterns[labels] + noise).astype("float32")
        if input_shape(size) != size:
            values = np.moveaxis(values, -1, 1)
        x[name] = values
    order = np.random.default_rng([seed, 1]).permutation(samples)
    x = {name: value[order] for name, value in x.items()}
    return x, labels[order].astype("int32")


def fit_head(model, x, labels, batch_size):
    """Sets the head of a classifier by ridge regression on its features."""
    own = {name: x[name] for name in model.input}
    features = model.predict(own, batch_size=batch_size, verbose=0)["features"]
    rows = features.astype("float64")
    center = rows.mean(axis=0)
    rows = rows - center
    targets = np.eye(CLASSES)[labels] - 1 / CLASSES
    gram = rows @ rows.T
    ridge = 0.1 * np.trace(gram) / len(gram)
    dual = np.linalg.solve(gram + ridge * np.eye(len(gram)), targets)
    kernel = 5 * rows.T @ dual
    head = model.get_layer("head")
    head.kernel.assign(kernel.astype("float32"))
    head.bias.assign((-center @ kernel).astype("float32"))
