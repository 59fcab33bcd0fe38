"""Ways to take the same training steps: ours and the alternatives.

Every contender is a function that trains for an epoch, waits for the result
and returns the mean loss.
"""

import contextlib
import importlib

import keras
from keras import ops

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import workloads

ALTERNATIVES = ("loop", "native", "stock", "keras_distillation")
TITLES = {
    "ours": "ours",
    "loop": "loop by hand, same networks",
    "native": "loop by hand, native layers",
    "stock": "`fit` with `compute_loss`",
    "keras_distillation": "`keras.distillation`",
}


def by_hand():
    """The module with the loop of the backend."""
    backend = keras.backend.backend()
    return importlib.import_module(f"keras_xkd.benchmark.loop_{backend}")


@contextlib.contextmanager
def policy(dtype):
    """A dtype policy while networks are made, None for the present one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def available(method, dtype=None):
    """The alternatives that can do a method, with a dtype policy."""
    left_out = set()
    if dtype not in (None, "float32"):
        left_out |= {"loop", "native"}
    if method in ("amid", "mke"):
        # Two players; inputs that `compute_loss` would have to change.
        left_out.add("stock")
    if method not in ("kd", "features"):
        left_out.add("keras_distillation")
    return [name for name in ALTERNATIVES if name not in left_out]


def make(name, method, size, steps, compile_kwargs=None, **options):
    """A contender, with networks of its own that start from the same weights.

    Args:
        name: `"ours"` or one of `ALTERNATIVES`.
        method, size: As in `workloads.make`.
        steps: Number of batches in an epoch.
        compile_kwargs: Arguments of `compile` for ours.
        **options: Further arguments of `workloads.make`.
    """
    options = dict(options)
    if name == "ours":
        options |= compile_kwargs or {}
    work = workloads.make(method, size, **options)
    work = repeated(work, steps)
    if name in ("loop", "native"):
        return by_hand().make(work, native=name == "native")
    model = work.distiller
    if name == "stock":
        model = stock(work)
    elif name == "keras_distillation":
        model = keras_distillation(work)
    return fitting(model, work)


def repeated(work, steps):
    """The workload with as many batches as an epoch has steps."""
    batches = work.batches()
    work.batches = lambda: [batches[i % len(batches)] for i in range(steps)]
    return work


def fitting(model, work):
    """`fit` for an epoch on batches that are ready."""
    data = by_hand().feed(work.batches())

    def epoch():
        logs = model.fit(data, verbose=0, shuffle=False).history
        return logs["loss"][0]

    epoch.model, epoch.work = model, work
    return epoch


def stock(work):
    """The method as a subclass of `keras.Model` that overrides one function."""
    layers = loop_math.parts_of(work)
    frozen = loop_math.FROZEN[work.method]
    first = [n for n in layers if n not in (*frozen, "projector", "head")]

    class Stock(keras.Model):
        def __init__(self):
            super().__init__()
            for name, layer in layers.items():
                # In a list, the gradients of networks with equal paths would
                # never be cleared on PyTorch.
                setattr(self, f"own_{name}", layer)

        @property
        def trainable_variables(self):
            return [
                v
                for name, layer in layers.items()
                if name not in frozen
                for v in layer.trainable_variables
            ]

        def call(self, x, training=None):
            return {
                name: layers[name](_inputs(layers[name], x), training=training)
                for name in first
            }

        def compute_loss(
            self, x=None, y=None, y_pred=None, sample_weight=None, training=True
        ):
            def part(name, value):
                if name in y_pred:
                    return y_pred[name]
                if name in frozen:
                    value = _inputs(layers[name], value)
                    outputs = layers[name](value, training=False)
                    return keras.tree.map_structure(ops.stop_gradient, outputs)
                return layers[name](value, training=training)

            return loop_math.totals(work.method, Functions, part, x, y)[0]

    model = Stock()
    for name in frozen:
        layers[name].trainable = False
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def _inputs(network, x):
    return {name: x[name] for name in network.input}


def keras_distillation(work):
    """The peer inside Keras, for logits and for the features of a layer."""
    networks = {
        role: keras.Model(network.input, network.output["logits"], name=role)
        for role, network in work.networks.items()
    }
    if work.method == "kd":
        loss = keras.distillation.LogitsDistillation(
            temperature=4.0, loss=keras.losses.KLDivergence()
        )
    else:
        loss = keras.distillation.FeatureDistillation(
            loss=keras.losses.MeanSquaredError(),
            teacher_layer_name="features",
            student_layer_name="features",
        )
    model = keras.distillation.Distiller(
        **networks, distillation_losses=loss, student_loss_weight=0.1
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


class Functions:
    """The functions of `loop_math`, in Keras."""

    exp, mean = staticmethod(ops.exp), staticmethod(ops.mean)
    diagonal = staticmethod(ops.diagonal)
    log_softmax = staticmethod(ops.log_softmax)
    logsumexp = staticmethod(ops.logsumexp)
    concatenate = staticmethod(ops.concatenate)

    def sum(x):
        return ops.sum(x, -1)

    def unit(x):
        return ops.normalize(x)

    def products(a, b):
        return ops.matmul(a, ops.transpose(b))

    def cross_entropy(labels, logits):
        return ops.mean(
            ops.sparse_categorical_crossentropy(
                labels, logits, from_logits=True
            )
        )
