"""A training loop written by hand in plain JAX."""

import inspect

import keras

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import native_jax


def feed(batches):
    """Batches in the form that both loops and `fit` read."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index]

    return Batches()


def make(work, native=False):
    """A function that trains for an epoch and returns the mean loss.

    Args:
        work: A `Workload`, whose networks are trained.
        native: Whether to train the same networks written in `jax.numpy`, with
            an optimizer of a few lines.
    """
    import jax
    from jax import numpy as jnp

    f = native_jax.functions()
    layers = loop_math.parts_of(work)
    frozen = loop_math.FROZEN[work.method]
    players = loop_math.players_of(work.method, layers)
    initial = native_jax.weights_of if native else _values_of
    found = {name: initial(layer) for name, layer in layers.items()}
    constant = {name: found[name] for name in frozen}
    weights = {n: found[n][0] for own in players for n in own}
    state = {n: found[n][1] for own in players for n in own}
    if native:
        moments = jax.tree.map(jnp.zeros_like, weights)
        slots = (0, moments, jax.tree.map(jnp.copy, moments))
        update = _adam
    else:
        slots, update = _keras_adam(layers, weights)

    def objective(weights, state, constant, x, y):
        new = dict(state)

        def part(name, value):
            own = constant.get(name) or (weights[name], state[name])
            training = name not in frozen
            if native:
                outputs, moved = native_jax.apply(
                    layers[name], work.shape, *own, value, training
                )
            else:
                if isinstance(value, dict):
                    value = {n: value[n] for n in layers[name].input}
                call = inspect.signature(layers[name].call).parameters
                options = {"training": training} if "training" in call else {}
                outputs, moved = layers[name].stateless_call(
                    *own, value, **options
                )
            if training:
                new[name] = moved
            return outputs

        return loop_math.totals(work.method, f, part, x, y), new

    def step(weights, state, slots, constant, x, y=None):
        found, pull_back, state = jax.vjp(
            lambda w: objective(w, state, constant, x, y), weights, has_aux=True
        )
        gradients = {}
        for i, own in enumerate(players):
            cotangents = [
                jnp.full_like(total, i == j) for j, total in enumerate(found)
            ]
            (pulled,) = pull_back(cotangents)
            gradients |= {name: pulled[name] for name in own}
        weights, slots = update(weights, gradients, slots)
        return found[0], weights, state, slots

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    held = [weights, state, slots]
    batches = work.batches()

    def epoch():
        losses = []
        for batch in batches:
            loss, *held[:] = compiled(*held, constant, *batch)
            losses.append(loss)
        jax.block_until_ready(held)
        return float(jnp.mean(jnp.stack(losses)))

    return epoch


def _values_of(layer):
    return tuple(
        [keras.ops.copy(v.value) for v in variables]
        for variables in (
            layer.trainable_variables,
            layer.non_trainable_variables,
        )
    )


def _keras_adam(layers, weights):
    names = sorted(weights)  # As JAX orders a dict.
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build([v for n in names for v in layers[n].trainable_variables])

    def flat(values):
        return [value for name in names for value in values[name]]

    def update(weights, gradients, slots):
        new, slots = optimizer.stateless_apply(
            slots, flat(gradients), flat(weights)
        )
        new = iter(new)
        return {n: [next(new) for _ in weights[n]] for n in names}, slots

    return [v.value for v in optimizer.variables], update


def _adam(weights, gradients, slots):
    import jax
    from jax import numpy as jnp

    count, mean, square = slots
    count = count + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(
        lambda s, g: 0.999 * s + 0.001 * g * g, square, gradients
    )
    rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    weights = jax.tree.map(
        lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-7),
        weights,
        mean,
        square,
    )
    return weights, (count, mean, square)
