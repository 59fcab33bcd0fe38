"""A training loop written by hand in plain TensorFlow."""

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import native_tensorflow


def feed(batches):
    """Batches in the form that both loops and `fit` read."""
    import tensorflow as tf

    def rows(*parts):
        return tf.stack(parts)

    stacked = tf.nest.map_structure(rows, *batches)
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    return dataset.prefetch(tf.data.AUTOTUNE)


def make(work, native=False, jit_compile=False):
    """A function that trains for an epoch and returns the mean loss.

    Args:
        work: A `Workload`, whose networks are trained, or copied.
        native: Whether to train the same networks written in `tf.nn`, with
            the optimizer of one operation for each variable.
        jit_compile: Whether the step is compiled by XLA.
    """
    import tensorflow as tf

    f = native_tensorflow.functions()
    layers = loop_math.parts_of(work)
    frozen = loop_math.FROZEN[work.method]
    players = loop_math.players_of(work.method, layers)
    if native:
        run = {
            name: native_tensorflow.part_of(layer, work.shape)
            for name, layer in layers.items()
        }
        groups = [[v for n in own for v in run[n].trained] for own in players]
        update = _adam(groups)
    else:
        run = layers
        variables, groups, optimizer = loop_math.keras_training(layers, players)

        def update(gradients):
            optimizer.apply(gradients, variables)

    def part(name, value):
        if not native and isinstance(value, dict):
            value = {n: value[n] for n in layers[name].input}
        return run[name](value, training=name not in frozen)

    @tf.function(jit_compile=jit_compile)
    def step(x, y=None):
        several = len(players) > 1
        with tf.GradientTape(
            persistent=several, watch_accessed_variables=False
        ) as tape:
            tape.watch(groups)
            totals = loop_math.totals(work.method, f, part, x, y)
        gradients = []
        for total, group in zip(totals, groups, strict=True):
            gradients += tape.gradient(total, group)
        update(gradients)
        return totals[0]

    data = feed(work.batches())

    def epoch():
        losses = [step(*batch) for batch in data]
        return float(tf.reduce_mean(tf.stack(losses)).numpy())

    return epoch


def _adam(groups):
    import tensorflow as tf

    variables = [v for group in groups for v in group]
    slots = [
        [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables]
        for _ in range(2)
    ]
    count = tf.Variable(0.0, trainable=False)

    def update(gradients):
        count.assign_add(1.0)
        rows = zip(variables, *slots, gradients, strict=True)
        for variable, mean, square, gradient in rows:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=0.9**count,
                beta2_power=0.999**count,
                lr=1e-3,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-7,
                grad=gradient,
            )

    return update
