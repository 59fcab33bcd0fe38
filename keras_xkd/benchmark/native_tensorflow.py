"""The functions and layers of TensorFlow for loops written by hand."""

import keras

from keras_xkd.benchmark.native_bodies import layers_of
from keras_xkd.benchmark.native_bodies import run


def functions():
    """The functions of `loop_math`, by name."""
    import tensorflow as tf

    class Functions:
        exp, mean, sin = tf.exp, tf.reduce_mean, tf.sin
        diagonal = tf.linalg.diag_part
        softplus = tf.nn.softplus
        log_softmax = tf.nn.log_softmax
        logsumexp = tf.reduce_logsumexp
        concatenate = tf.concat
        constant = tf.stop_gradient

        def sum(x):
            return tf.reduce_sum(x, -1)

        def argmax(x):
            return tf.argmax(x, -1)

        def unit(x):
            return tf.math.l2_normalize(x, -1)

        def products(a, b):
            return tf.matmul(a, b, transpose_b=True)

        def cross_entropy(labels, logits):
            return tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )

    return Functions


def part_of(layer, shape):
    """A function that does what a Keras layer or network does, in `tf.nn`.

    Its attribute `trained` has the variables, copies of those of Keras.
    """
    import tensorflow as tf

    f = functions()
    variables, trained = {}, []
    for one in layers_of(layer):
        for variable in one.weights:
            path = variable.path.split("/")
            # An attention has layers of its own.
            start = path.index(one.name) if one.name in path else -2
            name = "/".join([one.name, *path[start + 1 :]])
            value = keras.ops.convert_to_numpy(variable)
            own = tf.Variable(value, trainable=variable.trainable)
            variables[name] = own
            if variable.trainable:
                trained.append(own)

    class Own:
        relu, gelu = staticmethod(tf.nn.relu), staticmethod(tf.nn.gelu)
        unit = staticmethod(f.unit)

        def __init__(self, training):
            self.training = training

        def leaky_relu(self, x):
            return tf.nn.leaky_relu(x, 0.2)

        def dense(self, name, x):
            if len(x.shape) > 2:  # One product of matrices for all tokens.
                rows = tf.reshape(x, (-1, x.shape[-1]))
                shape = (*tf.unstack(tf.shape(x))[:-1], -1)
                return tf.reshape(self.dense(name, rows), shape)
            kernel = variables[f"{name}/kernel"]
            return tf.nn.bias_add(x @ kernel, variables[f"{name}/bias"])

        def conv(self, name, x, stride):
            kernel = variables[f"{name}/kernel"]
            pad = (kernel.shape[0] // 2,) * 2
            pads = ((0, 0), pad, pad, (0, 0))
            return tf.nn.conv2d(x, kernel, stride, pads)

        def batch_norm(self, name, x):
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            own = [variables[f"{name}/{n}"] for n in names]
            if not self.training:
                return tf.compat.v1.nn.fused_batch_norm(
                    x, *own, epsilon=1e-3, is_training=False
                )[0]
            y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                x, *own[:2], epsilon=1e-3
            )
            own[2].assign_sub(0.01 * (own[2] - mean))
            own[3].assign_sub(0.01 * (own[3] - variance))
            return y

        def layer_norm(self, name, x):
            gamma, beta = variables[f"{name}/gamma"], variables[f"{name}/beta"]
            mean, variance = tf.nn.moments(x, -1, keepdims=True)
            return tf.nn.batch_normalization(
                x, mean, variance, beta, gamma, 1e-6
            )

        def attention(self, name, x, heads):
            def into(part):
                kernel = variables[f"{name}/{part}/kernel"]
                rows = tf.einsum("btd,dhk->bhtk", x, kernel)
                bias = variables[f"{name}/{part}/bias"]
                return rows + tf.expand_dims(bias, 1)

            q, k, v = map(into, ("query", "key", "value"))
            scores = tf.matmul(q, k, transpose_b=True) * q.shape[-1] ** -0.5
            y = tf.nn.softmax(scores) @ v
            kernel = variables[f"{name}/attention_output/kernel"]
            y = tf.einsum("bhtk,hkd->btd", y, kernel)
            return y + variables[f"{name}/attention_output/bias"]

        def spectral_dense(self, i, x):
            kernel = variables[f"{layer.name}/kernel_{i}"]
            direction = variables[f"{layer.name}/direction_{i}"]
            fixed = tf.stop_gradient(kernel)
            left = f.unit(f.products(direction, fixed))
            right = f.unit(left @ fixed)
            direction.assign(right)
            kernel = kernel / tf.reduce_sum((left @ kernel) * right)
            return x @ kernel + variables[f"{layer.name}/bias_{i}"]

        def positions(self, name, x):
            return x + variables[f"{name}/kernel"]

        def join(self, parts):
            return tf.concat(parts, -1)

        def max_pool(self, x):
            pads = ((0, 0), (1, 1), (1, 1), (0, 0))
            return tf.nn.max_pool2d(x, 3, 2, pads)

        def pool_pixels(self, x):
            return tf.reduce_mean(x, (1, 2))

        def pool_tokens(self, x):
            return tf.reduce_mean(x, 1)

    def part(value, training):
        return run(layer, shape, Own(training), value)

    part.trained = trained
    return part
