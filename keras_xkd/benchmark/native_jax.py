"""The functions and layers of JAX for loops written by hand."""

import keras

from keras_xkd.benchmark.native_bodies import layers_of
from keras_xkd.benchmark.native_bodies import run


def functions():
    """The functions of `loop_math`, by name."""
    import jax
    from jax import numpy as jnp

    class Functions:
        exp, mean, sin = jnp.exp, jnp.mean, jnp.sin
        diagonal = jnp.diagonal
        softplus = jax.nn.softplus
        log_softmax = jax.nn.log_softmax
        logsumexp = jax.nn.logsumexp
        concatenate = jnp.concatenate
        constant = jax.lax.stop_gradient

        def sum(x):
            return jnp.sum(x, -1)

        def argmax(x):
            return jnp.argmax(x, -1)

        def unit(x):
            return x * jax.lax.rsqrt(jnp.sum(x * x, -1, keepdims=True))

        def products(a, b):
            return a @ b.T

        def cross_entropy(labels, logits):
            rows = jax.nn.log_softmax(logits)
            return -jnp.mean(jnp.take_along_axis(rows, labels[:, None], 1))

    return Functions


def weights_of(layer):
    """The weights of a Keras layer or network: trained ones, and states.

    Returns:
        Two dicts `{"layer/weight": array}`.
    """
    found = {True: {}, False: {}}
    for one in layers_of(layer):
        for variable in one.weights:
            path = variable.path.split("/")
            # An attention has layers of its own.
            start = path.index(one.name) if one.name in path else -2
            name = "/".join([one.name, *path[start + 1 :]])
            found[variable.trainable][name] = keras.ops.copy(variable.value)
    return found[True], found[False]


def apply(layer, shape, weights, state, value, training):
    """Runs what a Keras layer or network does in plain `jax.numpy`.

    Returns:
        The outputs and the new state.
    """
    import jax
    from jax import lax
    from jax import numpy as jnp

    f = functions()
    new = dict(state)

    class Own:
        relu = staticmethod(jax.nn.relu)
        unit = staticmethod(f.unit)

        def leaky_relu(x):
            return jax.nn.leaky_relu(x, 0.2)

        def gelu(x):
            return jax.nn.gelu(x, approximate=False)

        def dense(name, x):
            return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

        def conv(name, x, stride):
            kernel = weights[f"{name}/kernel"]
            pad = kernel.shape[0] // 2
            return lax.conv_general_dilated(
                x,
                kernel,
                (stride, stride),
                ((pad, pad), (pad, pad)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        def batch_norm(name, x):
            mean = state[f"{name}/moving_mean"]
            variance = state[f"{name}/moving_variance"]
            if training:
                found = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
                new[f"{name}/moving_mean"] = 0.99 * mean + 0.01 * found[0]
                new[f"{name}/moving_variance"] = (
                    0.99 * variance + 0.01 * found[1]
                )
                mean, variance = found
            scale = weights[f"{name}/gamma"] * lax.rsqrt(variance + 1e-3)
            return (x - mean) * scale + weights[f"{name}/beta"]

        def layer_norm(name, x):
            mean = jnp.mean(x, -1, keepdims=True)
            variance = jnp.var(x, -1, keepdims=True)
            x = (x - mean) * lax.rsqrt(variance + 1e-6)
            return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

        def attention(name, x, heads):
            def into(part):
                kernel = weights[f"{name}/{part}/kernel"]
                rows = jnp.einsum("btd,dhk->bthk", x, kernel)
                return rows + weights[f"{name}/{part}/bias"]

            q, k, v = map(into, ("query", "key", "value"))
            y = jax.nn.dot_product_attention(q, k, v)
            kernel = weights[f"{name}/attention_output/kernel"]
            y = jnp.einsum("bthk,hkd->btd", y, kernel)
            return y + weights[f"{name}/attention_output/bias"]

        def spectral_dense(i, x):
            kernel = weights[f"{layer.name}/kernel_{i}"]
            name = f"{layer.name}/direction_{i}"
            fixed = lax.stop_gradient(kernel)
            left = f.unit(state[name] @ fixed.T)
            new[name] = right = f.unit(left @ fixed)
            kernel = kernel / jnp.sum((left @ kernel) * right)
            return x @ kernel + weights[f"{layer.name}/bias_{i}"]

        def positions(name, x):
            return x + weights[f"{name}/kernel"]

        def join(parts):
            return jnp.concatenate(parts, -1)

        def max_pool(x):
            pads = ((0, 0), (1, 1), (1, 1), (0, 0))
            window, strides = (1, 3, 3, 1), (1, 2, 2, 1)
            return lax.reduce_window(
                x, -jnp.inf, lax.max, window, strides, pads
            )

        def pool_pixels(x):
            return jnp.mean(x, (1, 2))

        def pool_tokens(x):
            return jnp.mean(x, 1)

    return run(layer, shape, Own, value), new
