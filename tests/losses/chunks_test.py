import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_xkd import losses
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.layers import ContrastiveMemory
from keras_xkd.layers import SimilarityQueue
from keras_xkd.losses import chunks
from tests.losses import reference
from tests.test_case import gradient
from tests.test_case import to_numpy

RNG = np.random.default_rng(40)
T, S = RNG.normal(size=(2, 5, 4))
ROWS = [T.astype("float32"), S.astype("float32")]
KEYS = reference.unit(RNG.normal(size=(3, 4)))
MASK = np.array([1, 0, 1, 1, 1])
BACKEND = keras.backend.backend()


def in_batch(t, s, mask=None, chunk_size=None):
    loss = losses.ContrastiveRepresentation(0.5, chunk_size=chunk_size)
    return loss.call(t, s, mask)


def with_keys(t, s, **kwargs):
    keys = ops.cast(KEYS, t.dtype)
    return losses.similarity_distribution(t, s, 0.2, 0.5, keys=keys, **kwargs)


FUNCTIONS = {
    "info_nce": functools.partial(losses.info_nce, temperature=0.2),
    "one_way": functools.partial(
        losses.info_nce, temperature=0.2, symmetric=False
    ),
    "nt_xent": functools.partial(losses.nt_xent, temperature=0.2),
    "cross_modal_contrast": losses.cross_modal_contrast,
    "similarity_distribution": with_keys,
    "probabilistic_transfer": losses.probabilistic_transfer,
    "contrastive_representation": in_batch,
}
CLASSES = {
    "info_nce": losses.InfoNCE(0.2, symmetric=False, chunk_size=2),
    "nt_xent": losses.NTXent(0.2, chunk_size=2),
    "cross_modal_contrast": losses.CrossModalContrast(0.2, chunk_size=2),
    "similarity_distribution": losses.SimilarityDistribution(chunk_size=2),
    "probabilistic_transfer": losses.ProbabilisticTransfer(chunk_size=2),
    "contrastive_representation": losses.ContrastiveRepresentation(
        0.5, chunk_size=2
    ),
}
for_functions = pytest.mark.parametrize("name", FUNCTIONS)
for_classes = pytest.mark.parametrize("name", CLASSES)


def compiled(function, xla=False):
    """Values and gradients of their weighted sum, compiled where there is
    something that compiles, of a batch whose size is not known before."""

    def total(*rows):
        values = function(*rows)
        weights = ops.arange(1, ops.shape(values)[0] + 1, dtype=values.dtype)
        return ops.sum(values * weights), values

    if BACKEND == "jax":
        import jax

        both = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)

        def step(*rows):
            (_, values), gradients = jax.jit(both)(*rows)
            return values, *gradients
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function(reduce_retracing=True, jit_compile=xla)
        def traced(*rows):
            with tf.GradientTape() as tape:
                tape.watch(rows)
                value, values = total(*rows)
            zero = tf.UnconnectedGradients.ZERO
            return values, *tape.gradient(
                value, rows, unconnected_gradients=zero
            )

        def step(*rows):
            spec = [tf.TensorSpec((None, x.shape[1]), x.dtype) for x in rows]
            return traced.get_concrete_function(*spec)(*map(tf.constant, rows))
    else:
        import torch

        def step(*rows):
            rows = [torch.tensor(x, requires_grad=True) for x in rows]
            value, values = total(*rows)
            gradients = torch.autograd.grad(
                value, rows, allow_unused=True, materialize_grads=True
            )
            return values, *gradients

    return lambda *rows: [to_numpy(x) for x in step(*rows)]


def assert_same(plain, chunked, rows, scale=1.0):
    for a, b in zip(plain(*rows), chunked(*rows), strict=True):
        np.testing.assert_allclose(b, a, rtol=scale * 2e-6, atol=scale * 1e-6)


@for_functions
def test_values_and_gradients_are_those_without_chunks(name):
    """With a mask, and a last block that is smaller than the others."""
    function = functools.partial(FUNCTIONS[name], mask=MASK)
    step = compiled(functools.partial(function, chunk_size=2))
    # On JAX, float64 takes a global option.
    kind = (ROWS, 1.0) if BACKEND == "jax" else ([T, S], 1e-7)
    assert_same(compiled(function), step, *kind)


@for_functions
def test_any_number_of_rows(name):
    function = FUNCTIONS[name]
    expected = to_numpy(function(*ROWS))
    for chunk_size in (5, 9):
        values = to_numpy(function(*ROWS, chunk_size=chunk_size))
        np.testing.assert_allclose(values, expected, rtol=2e-6, atol=1e-6)
    one = [x[:1] for x in ROWS]
    np.testing.assert_allclose(
        to_numpy(function(*one, chunk_size=4)),
        to_numpy(function(*one)),
        atol=1e-6,
    )
    # Nobody takes part: nothing becomes NaN.
    function = functools.partial(function, mask=np.zeros(5), chunk_size=1)
    for found in compiled(function)(*ROWS):
        np.testing.assert_array_equal(found, 0)


# Elsewhere it is always there, or never.
XLA = [False, True] if BACKEND == "tensorflow" else [False]


@pytest.mark.parametrize("xla", XLA)
def test_one_trace_serves_batches_of_any_size(xla):
    plain = compiled(losses.nt_xent)
    step = compiled(functools.partial(losses.nt_xent, chunk_size=3), xla)
    for size in (7, 1):
        rows = RNG.normal(size=(2, size, 4)).astype("float32")
        assert_same(plain, step, list(rows), scale=4.0)


def test_gradients_without_a_compiler():
    expected = compiled(losses.info_nce)(*ROWS)[1:]

    def total(*rows):
        values = losses.info_nce(*rows, chunk_size=2)
        return ops.sum(values * ops.arange(1, 6, dtype="float32"))

    for a, b in zip(gradient(total, *ROWS), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@for_classes
def test_classes_pass_it_on(name):
    loss = CLASSES[name]
    config = loss.get_config()
    assert config["chunk_size"] == 2
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    assert again.get_config() == config
    plain = type(loss).from_config({**config, "chunk_size": None})
    expected = to_numpy(plain.call(*ROWS, mask=MASK))
    values = to_numpy(again.call(*ROWS, mask=MASK))
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@for_classes
def test_errors(name):
    for wrong in (0, -3, 2.5, "all"):
        with pytest.raises(ValueError, match="`chunk_size` must.*Received"):
            type(CLASSES[name])(chunk_size=wrong)
        with pytest.raises(ValueError, match="`chunk_size` must.*Received"):
            FUNCTIONS[name](*ROWS, chunk_size=wrong)


def largest(function, size, width=4):
    """Numbers in the largest tensor that is made or kept at any time.

    On torch, the largest that is kept for the gradient.
    """
    rows = RNG.normal(size=(2, size, width)).astype("float32")
    if BACKEND == "jax":
        import jax

        total = jax.grad(lambda t, s: ops.sum(function(t, s)), (0, 1))
        lowered = jax.jit(total).lower(*rows)
        return lowered.compile().memory_analysis().temp_size_in_bytes // 4
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step(t, s):
            with tf.GradientTape() as tape:
                tape.watch([t, s])
                total = ops.sum(function(t, s))
            return tape.gradient(total, [t, s])

        graph = step.get_concrete_function(*map(tf.constant, rows)).graph
        found = graph.as_graph_def(add_shapes=True)
        nodes = [*found.node]
        for inner in found.library.function:
            nodes += inner.node_def
        shapes = [
            [dim.size for dim in shape.dim]
            for node in nodes
            for shape in node.attr["_output_shapes"].list.shape
        ]
        # A loop that keeps the values of all its turns pushes them on a list.
        pushed = {
            source.split(":")[0]
            for node in nodes
            if node.op == "TensorListPushBack"
            for source in node.input
        }
        assert not any(
            np.prod([d.size for d in shape.dim]) > size * width
            for node in nodes
            if node.name in pushed
            for shape in node.attr["_output_shapes"].list.shape
        )
        return max(int(np.prod(shape)) for shape in shapes)
    import torch

    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    rows = [torch.tensor(x, requires_grad=True) for x in rows]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        function(*rows).sum().backward()
    return max(kept.values())


@for_functions
def test_nothing_has_the_size_of_all_pairs(name):
    size = 192
    function = FUNCTIONS[name]
    if name == "info_nce":
        assert largest(function, size) >= size**2
    chunked = functools.partial(function, chunk_size=4)
    assert largest(chunked, size) < size**2 / 2


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(SimilarityQueue, 7, 0.2, 0.5),
        functools.partial(
            ContrastiveMemory,
            queue=7,
            embedding_dim=3,
            temperature=0.5,
            seed=1,
        ),
        functools.partial(
            ContrastiveMemory,
            samples=9,
            embedding_dim=3,
            temperature=0.5,
            negatives=6,
            seed=1,
        ),
    ],
    ids=["similarity_queue", "queue", "bank"],
)
def test_layers_with_a_memory(make):
    ids = np.array([7, 2, 5, 0, 1])
    layers = plain, chunked = make(), make(chunk_size=2)
    assert type(plain).from_config(chunked.get_config()).get_config() == (
        chunked.get_config()
    )
    for layer in layers:
        layer.build((None, 4), (None, 4))
    chunked.set_weights(plain.get_weights())
    assert_same(*(compiled(differentiable(x, ids)) for x in layers), ROWS, 10)
    if BACKEND != "jax":  # Where eager loops take long to compile.
        values = [to_numpy(x(*ROWS, ids, MASK, training=True)) for x in layers]
        np.testing.assert_allclose(*values, rtol=1e-5)
        for a, b in zip(*(x.weights for x in layers), strict=True):
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-5)
    if hasattr(plain, "normalizer"):  # The second batch finds it.
        for layer in layers:
            layer.normalizer.assign([3.0, 5.0])
        steps = (compiled(differentiable(x, ids)) for x in layers)
        assert_same(*steps, ROWS, 10)
        np.testing.assert_allclose(to_numpy(chunked.normalizer), [3, 5])


def differentiable(layer, ids):
    """The layer in training. Torch changes its memory before the gradient."""
    if BACKEND == "torch":
        return lambda t, s: layer(t, s, ids, MASK, training=True)
    state = [
        [ops.convert_to_numpy(v) for v in variables]
        for variables in (
            layer.trainable_variables,
            layer.non_trainable_variables,
        )
    ]
    return lambda t, s: layer.stateless_call(
        *state, t, s, ids, MASK, training=True
    )[0]


def test_in_a_distiller():
    x = {name: RNG.normal(size=(5, 3)) for name in ("audio", "image")}
    y = np.array([0, 1, 1, 0, 1])

    def network(name):
        inputs = keras.Input((3,), name=name)
        features = keras.layers.Dense(4, name="features")(inputs)
        outputs = {
            "logits": keras.layers.Dense(2)(features),
            "features": features,
        }
        model = keras.Model(inputs, outputs)
        rng = np.random.default_rng(len(name))
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        return model

    histories = []
    for chunk_size in (None, 2):
        distiller = CrossModalDistiller(
            student=network("audio"), teacher=network("image")
        )
        arguments = {"chunk_size": chunk_size}
        distiller.compile(
            keras.optimizers.SGD(0.1),
            "sparse_categorical_crossentropy",
            distillation_loss={
                "contrast": losses.InfoNCE(0.5, **arguments),
                "queue": losses.SimilarityDistribution(queue=6, **arguments),
            },
        )
        history = distiller.fit(
            x, y, batch_size=3, epochs=2, shuffle=False, verbose=0
        ).history
        histories.append(history)
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5)


def test_by_rows_in_plain_words():
    numbers = ops.arange(7, dtype="float32")
    index = ops.arange(7)
    count = []

    def function(rows, whole, index):
        count.append(tuple(rows.shape))
        return rows * ops.sum(whole) + ops.cast(index, "float32")

    values = chunks.by_rows(
        function, (numbers,), (numbers,), (index,), chunk_size=3
    )
    np.testing.assert_allclose(to_numpy(values), np.arange(7) * 22)
    assert set(count) == {(3,)}
    count.clear()
    chunks.by_rows(function, (numbers,), (numbers,), (index,))
    assert count == [(7,)]
