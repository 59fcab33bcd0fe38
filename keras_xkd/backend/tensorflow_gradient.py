import tensorflow as tf


def gradient_of(fn, x):
    """The gradient of the scalar `fn(x)` with respect to the tensor `x`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = fn(x)
    return tape.gradient(
        value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
