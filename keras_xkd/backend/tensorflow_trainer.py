import keras
import tensorflow as tf
from keras import ops


# A function that is traced again, for data with labels after data without,
# must not make variables inside.
outside_trace = tf.init_scope


def no_gradient(fn, *args, **kwargs):
    """Runs `fn` as a constant. Its variables are not watched by the tape."""
    outputs = fn(*args, **kwargs)
    return keras.tree.map_structure(ops.stop_gradient, outputs)


class BackendTrainer:
    """The training and test steps of a `Distiller` on TensorFlow."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables
        state = self.non_trainable_variables
        guarded = self.on_nonfinite == "raise"
        before = [tf.identity(v.value) for v in state] if guarded else None
        # Watching the trained variables alone keeps no graph of the others.
        with tf.GradientTape(
            persistent=len(self.players) > 1, watch_accessed_variables=False
        ) as tape:
            tape.watch([v.value for v in variables])
            totals, report = self.objective(x, y, sample_weight, training=True)
            scaled = [self.optimizer.scale_loss(total) for total in totals]
        gradients = [None] * len(variables)
        for player, total in enumerate(scaled):
            own = self.ownership.indices(player, variables)
            found = tape.gradient(total, [variables[i].value for i in own])
            for i, gradient in zip(own, found, strict=True):
                gradients[i] = gradient
        del tape
        gradients = self.fill_gradients(gradients, variables)
        if not self.optimizer.built:
            with tf.init_scope():
                self.optimizer.build(variables)
        if not guarded:
            self.optimizer.apply(gradients, variables)
        else:
            finite = tf.reduce_all(tf.math.is_finite(tf.stack(totals)))
            tf.cond(
                finite,
                lambda: self.optimizer.apply(gradients, variables),
                lambda: None,
            )
            for variable, old in zip(state, before, strict=True):
                variable.assign(tf.where(finite, variable.value, old))
        return self.record(report, totals, x, y, sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        totals, report = self.objective(x, y, sample_weight, training=False)
        return self.record(report, totals, x, y, sample_weight)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _checked(self, self.train_function)


def _checked(distiller, function):
    def step(data):
        try:
            logs = function(data)
        except (ValueError, TypeError):
            # A `tf.function` whose first trace failed may not make variables
            # any more: the next `fit` needs a new one.
            distiller.train_function = None
            raise
        distiller.check_finite(logs)
        return logs

    return step
