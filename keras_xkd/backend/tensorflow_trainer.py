import threading

import keras
import tensorflow as tf
from keras import ops

from keras_xkd.backend import tensorflow_replicas as replicas


def outside_trace(fn):
    """Runs `fn`, which makes variables, outside the function being traced.

    A `tf.function` makes variables in its first trace only, also under
    `tf.init_scope`, but data with labels after data without needs new ones in
    the second. A thread of its own knows nothing of the trace, nor of the
    replica that runs it: the variables are those of all replicas.
    """
    strategy = tf.distribute.get_strategy()

    def make():
        with strategy.scope():
            fn()

    if not tf.inside_function() and replicas.replica_count() == 1:
        fn()
        return
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()


def no_gradient(fn, *args, **kwargs):
    """Runs `fn` as a constant. Its variables are not watched by the tape.

    Nor are they changed: some layers move their random state in inference too.
    """
    with keras.StatelessScope():
        outputs = fn(*args, **kwargs)
    return keras.tree.map_structure(ops.stop_gradient, outputs)


class KeepsState:
    """A mixin of `keras.Model`. Here an exception leaves variables in place."""


class BackendTrainer:
    """The training and test steps of a `Distiller` on TensorFlow."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x = _check_batch(x, y, sample_weight)
        variables = self.trainable_variables
        state = self.non_trainable_variables
        guarded = self.on_nonfinite == "raise"
        before = [tf.identity(v.value) for v in state] if guarded else None
        several = replicas.replica_count() > 1
        statistics = self.statistics() if several else []
        old_statistics = [tf.identity(v.value) for v in statistics]
        # Watching the trained variables alone keeps no graph of the others.
        with tf.GradientTape(
            persistent=len(self.players) > 1, watch_accessed_variables=False
        ) as tape:
            tape.watch([v.value for v in variables])
            totals, report = self.objective(x, y, sample_weight, training=True)
            scaled = [self.optimizer.scale_loss(total) for total in totals]
            if several:
                share = replicas.share_of(keras.tree.flatten(x)[0])
                scaled = [total * share for total in scaled]
        gradients = [None] * len(variables)
        for player, total in enumerate(scaled):
            own = self.ownership.indices(player, variables)
            found = tape.gradient(total, [variables[i].value for i in own])
            for i, gradient in zip(own, found, strict=True):
                gradients[i] = gradient
        del tape
        gradients = self.fill_gradients(gradients, variables)
        if several:
            gradients = replicas.unless_empty(share, gradients)
        for variable, old in zip(statistics, old_statistics, strict=True):
            # State that no sample moves, such as that of a spectral norm,
            # goes on alike everywhere.
            usable = (share > 0) | tf.math.is_finite(variable.value)
            variable.assign(tf.where(usable, variable.value, old))
        if not guarded:
            replicas.apply_gradients(self.optimizer, gradients, variables)
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
        x = _check_batch(x, y, sample_weight)
        totals, report = self.objective(x, y, sample_weight, training=False)
        return self.record(report, totals, x, y, sample_weight)

    def check_devices(self, on_nonfinite):
        """Raises if the distribution that is set cannot train this model."""
        replicas.check_keras_distribution()
        replicas.check_strategy(self)
        count = self.distribute_strategy.num_replicas_in_sync
        if count > 1:
            replicas.check_optimizer(getattr(self, "optimizer", None))
        if on_nonfinite == "raise" and count > 1:
            raise ValueError(
                "`on_nonfinite='raise'` cannot stop several replicas at once. "
                "Use `keras.callbacks.TerminateOnNaN`. Received: a strategy "
                f"with {count} replicas"
            )

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # A distiller is built, and what Keras does here under a strategy
        # needs a first batch of which every replica gets as many samples.
        pass

    def _get_metrics_result_or_logs(self, logs):
        logs = super()._get_metrics_result_or_logs(logs)
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return logs
        # Running means: this is the same as to average them in every step.
        replicas.average(self.statistics(), self.distribute_strategy)
        # A step returned what the first replica had seen.
        return {**logs, **self.metric_results(logs)}

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _checked(self, self.train_function)


_UNEQUAL = "All modalities, labels and weights of a batch must have the same"


def _check_batch(x, y, sample_weight):
    """What `check_batch` does, for sizes that are known only when running.

    Returns `x`, which nothing can read before the check.
    """
    leaves = keras.tree.flatten((x, y, sample_weight))
    leaves = [
        v for v in leaves if v is not None and tf.TensorShape(v.shape).rank
    ]
    checks = [
        tf.debugging.assert_equal(
            tf.shape(leaf)[0], tf.shape(leaves[0])[0], message=_UNEQUAL
        )
        for leaf in leaves[1:]
        if None in (leaf.shape[0], leaves[0].shape[0])
    ]
    with tf.control_dependencies([c for c in checks if c is not None]):
        return keras.tree.map_structure(tf.identity, x)


def _checked(distiller, function):
    def step(data):
        try:
            logs = function(data)
        except tf.errors.InvalidArgumentError as error:
            if _UNEQUAL in str(error):
                raise ValueError(f"{_UNEQUAL} number of samples.") from error
            raise
        except (ValueError, TypeError):
            # A `tf.function` whose first trace failed may not make variables
            # any more: the next `fit` needs a new one.
            distiller.train_function = None
            raise
        distiller.check_finite(logs)
        return logs

    return step
