import jax


def gradient_of(fn, x):
    """The gradient of the scalar `fn(x)` with respect to the tensor `x`."""
    return jax.grad(fn)(x)
