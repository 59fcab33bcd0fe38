"""Operations of training steps, by JAX's cost analysis."""

import keras

from keras_xkd.benchmark import loop_math


def step_operations(model, batch):
    """Operations of a training step of a Keras model that was trained."""
    state = tuple(
        [v.value for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    return operations_of(model.train_step, state, batch)


def network_operations(work):
    """Operations of a forward and backward pass of all that a method trains.

    What reads features also pulls back to them; what reads data does not.
    """
    import jax
    from jax import numpy as jnp

    layers = loop_math.parts_of(work)
    frozen = loop_math.FROZEN[work.method]
    layers = {n: layer for n, layer in layers.items() if n not in frozen}
    weights, state, rows = {}, {}, {}
    for name, layer in layers.items():
        weights[name] = [v.value for v in layer.trainable_variables]
        state[name] = [v.value for v in layer.non_trainable_variables]
        if not _reads_data(layer):
            # The discriminator judges real pairs and made-up ones.
            number = work.batch_size * (2 if name == "discriminator" else 1)
            rows[name] = jnp.ones((number, weights[name][0].shape[0]))

    def total(weights, rows, state, x):
        parts, moved = [], []
        for name, layer in layers.items():
            if _reads_data(layer):
                value = {key: x[key] for key in layer.input}
            else:
                value = rows[name]
            outputs, own = layer.stateless_call(
                weights[name], state[name], value
            )
            parts += [jnp.sum(jnp.square(p)) for p in jax.tree.leaves(outputs)]
            moved.append(own)
        return sum(parts), moved

    passes = jax.grad(total, (0, 1), has_aux=True)
    return operations_of(passes, weights, rows, state, work.batches()[0][0])


def _reads_data(layer):
    is_generator = isinstance(layer, keras.Sequential)
    return isinstance(layer, keras.Model) and not is_generator


def operations_of(function, *arguments):
    """Operations of a function after all optimisations of the compiler."""
    import jax

    analysis = jax.jit(function).lower(*arguments).compile().cost_analysis()
    if isinstance(analysis, list):
        analysis = analysis[0]
    return float(analysis["flops"])
