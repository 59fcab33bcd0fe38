"""Devices that share a batch, on TensorFlow: `tf.distribute.MirroredStrategy`.

A step sees the samples of its own replica. Its total counts as much as it has
samples, so that the sum of all replicas is the mean over the batch.
"""

import contextlib

import keras
import tensorflow as tf


def check_keras_distribution():
    """Raises where `keras.distribution` would do nothing."""
    if keras.distribution.distribution() is not None:
        raise ValueError(
            "`keras.distribution` does nothing on TensorFlow. Create and "
            "compile the networks and what trains them under "
            "`tf.distribute.MirroredStrategy().scope()`, or use the JAX "
            "backend. Received: a distribution of type "
            f"{type(keras.distribution.distribution()).__name__}"
        )


def check_strategy(model):
    """Raises if a model cannot be trained under the strategy that is set."""
    strategy = model.distribute_strategy
    present = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        if present.num_replicas_in_sync > 1:
            raise ValueError(
                f"'{model.name}' was made outside the scope of the "
                f"{type(present).__name__} that is set. Make and compile the "
                "networks and the distiller under `strategy.scope()`."
            )
        return
    if not isinstance(strategy, tf.distribute.MirroredStrategy):
        raise ValueError(
            "Distillers train under `tf.distribute.MirroredStrategy`. For "
            "several hosts use the JAX or PyTorch backend. Received: "
            f"{type(strategy).__name__}"
        )
    outside = [
        v.path
        for v in model.trainable_variables
        if not strategy.extended.variable_created_in_scope(v.value)
    ]
    if outside:
        raise ValueError(
            "Networks must be made under `strategy.scope()`, like the "
            f"distiller. Received variables made outside: {outside[:3]}"
        )


def check_optimizer(optimizer):
    """Raises if an optimizer does what replicas cannot do together."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for one in (inner, *getattr(inner, "optimizers", ())):
        for name in ("gradient_accumulation_steps", "ema_overwrite_frequency"):
            if getattr(one, name, None):
                raise ValueError(
                    f"Under `tf.distribute.MirroredStrategy` Keras knows no "
                    f"`{name}`. Received: {name}={getattr(one, name)}"
                )


def _replica():
    """The context of this replica, None if there is only one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return context


def is_first_process():
    """Whether this process writes files. There is one."""
    return True


def by_itself():
    """What this process does alone. Here nothing is in the way."""
    return contextlib.nullcontext()


def replica_count():
    """Number of replicas that run the present step."""
    context = _replica()
    return 1 if context is None else context.num_replicas_in_sync


def gather(tensors):
    """The rows of all replicas, in the same order on each.

    A gradient goes back to the rows of each replica. What is computed from
    the rows of all is the same everywhere, so that it need not be sent.

    Args:
        tensors: A list of tensors with the same number of rows.
    """
    context = _replica()
    if context is None or not tensors:
        return tensors
    sizes = context.all_gather(tf.shape(tensors[0])[:1], axis=0)
    index = context.replica_id_in_sync_group
    own = sizes[index]
    start = tf.reduce_sum(sizes[:index])
    total = tf.reduce_sum(sizes)

    @tf.custom_gradient
    def rows(x):
        def gradient(found):
            # The total of a replica counts `own / total`.
            share = tf.cast(total, found.dtype) / tf.cast(
                tf.maximum(own, 1), found.dtype
            )
            return tf.convert_to_tensor(found)[start : start + own] * share

        found = context.all_gather(x, axis=0)
        found.set_shape([None, *x.shape[1:]])
        return found, gradient

    return [
        tf.cast(rows(tf.cast(x, "int32")), "bool")
        if x.dtype == tf.bool
        else rows(x)
        for x in map(tf.convert_to_tensor, tensors)
    ]


def replica_total(*values):
    """Sums of scalars over the replicas, without a gradient."""
    context = _replica()
    if context is None:
        return values
    values = [tf.stop_gradient(value) for value in values]
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def by_replica(fn, tensors):
    """`fn` of the samples of each device by themselves: those of a step."""
    return fn(tensors)


def share_of(x):
    """The share of the samples of the batch that this replica has."""
    own = tf.cast(tf.shape(x)[0], "float32")
    (total,) = replica_total(own)
    return own / total


def apply_gradients(optimizer, gradients, variables):
    """Updates the variables by gradients of which the sum is meant.

    Keras adds the gradients of the replicas after it has clipped them, and
    looks on the first replica only whether they are finite. What is clipped
    and looked at must be the sum: here it is added before, and divided by the
    number of replicas together with the bounds.
    """
    count = replica_count()
    clipping = _clipping(optimizer)
    scaled = hasattr(optimizer, "inner_optimizer")
    if count == 1 or not (clipping or scaled):
        optimizer.apply(gradients, variables)
        return
    context = tf.distribute.get_replica_context()
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    # Replicas run in turns, each up to the next thing they do together: all
    # have read the bounds before the first changes them, and all have clipped
    # before the first puts them back.
    with contextlib.ExitStack() as stack:
        for inner, name, bound in clipping:
            stack.callback(setattr, inner, name, bound)
            setattr(inner, name, bound / count)
        optimizer.apply([g / count for g in summed], variables)


def unless_empty(share, gradients):
    """Gradients; zeros where this replica got no sample of a last batch.

    What layers such as batch normalisation make of no sample is not a number.
    """
    return [
        gradient
        if isinstance(gradient, tf.IndexedSlices)
        else tf.where(share > 0, gradient, tf.zeros_like(gradient))
        for gradient in gradients
    ]


def _clipping(optimizer):
    """The bounds of an optimizer: `(optimizer, attribute, bound)`."""
    optimizers = [optimizer, *getattr(optimizer, "optimizers", ())]
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return _clipping(inner)
    return [
        (one, name, getattr(one, name))
        for one in optimizers
        for name in ("clipnorm", "global_clipnorm", "clipvalue")
        if getattr(one, name, None) is not None
    ]


def average(variables, strategy):
    """Gives variables their mean over the replicas, outside a step.

    What is equal everywhere stays as it is, to the last bit.
    """
    for variable in variables:
        first, *others = strategy.experimental_local_results(variable.value)
        apart = [tf.convert_to_tensor(v) - first for v in others]
        moved = tf.add_n(apart) / (1 + len(apart)) if apart else 0.0
        variable.value.assign(first + moved)
