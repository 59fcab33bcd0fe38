"""How processes on PyTorch train one model."""

import inspect

import keras

from keras_xkd.backend import torch_replicas as replicas
from keras_xkd.utils.random_state import random_states


class TrainsTogether:
    """A mixin of `Distiller`: the processes of a group train one model.

    They begin with the state of the first process, add their gradients in
    every step, and add what metrics have seen at the end of every epoch, and
    of an evaluation, which therefore all of them must take part in. Statistics
    of layers, such as those of batch normalisation, are then averaged: they
    are running means, so that this is the same as to average them in every
    step. Frozen networks are left alone.
    """

    _moved = False
    _together = False

    def check_devices(self, on_nonfinite):
        """Raises if the distribution that is set cannot train this model."""
        replicas.check_keras_distribution()
        replicas.check_group()

    def gradients_of_all(self, gradients, x):
        """The gradients of the mean over the samples of all processes."""
        if replicas.replica_count() == 1:
            return gradients
        self._moved = True
        rows = keras.tree.flatten(x)[0].shape[0]
        own = keras.ops.convert_to_tensor(float(rows))  # On Keras' device.
        (total,) = replicas.replica_total(own)
        return replicas.sum_over_replicas(gradients, own / total)

    def fit(self, *args, **kwargs):
        if replicas.replica_count() == 1:
            return super().fit(*args, **kwargs)
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        callbacks = given.arguments.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(_BeginTogether())
        else:
            callbacks = keras.tree.flatten(callbacks or [])
            given.arguments["callbacks"] = [*callbacks, _BeginTogether()]
        return super().fit(*given.args[1:], **given.kwargs)

    def evaluate(self, *args, **kwargs):
        self._begin_once()
        return super().evaluate(*args, **kwargs)

    def train_on_batch(self, *args, **kwargs):
        self._begin_once()
        return super().train_on_batch(*args, **kwargs)

    def _begin_once(self):
        if replicas.replica_count() > 1 and not self._together:
            self.begin_together()

    def _get_metrics_result_or_logs(self, logs):
        logs = super()._get_metrics_result_or_logs(logs)
        if replicas.replica_count() == 1:
            return logs
        # Others were shown the samples of all processes.
        seen = [v for v in self.metrics_variables if v.aggregation == "sum"]
        sums = replicas.sum_over_replicas([v.value for v in seen])
        for variable, value in zip(seen, sums):
            variable.assign(value)
        if self._moved:
            replicas.average(self.statistics())
            self._moved = False
        return {**logs, **self.metric_results(logs)}

    def begin_together(self):
        """Takes over the state of the first process."""
        self._check_frozen()
        frozen = self.frozen_ids()
        replicas.follow_first(
            [v for v in self.variables if id(v) not in frozen]
        )
        replicas.follow_first(self.optimizer.variables)
        epoch = keras.ops.convert_to_tensor(self._initial_epoch or 0)
        self._initial_epoch = int(replicas.from_first(epoch))
        # Layers such as dropout draw other numbers in every process; the
        # memories of losses draw the same.
        same = self.companion_ids()
        for state in random_states(self).values():
            if id(state) not in same and id(state) not in frozen:
                replicas.set_apart(state)
        self._together = True

    def _check_frozen(self):
        frozen = self.frozen_ids()
        known = [v for v in self.variables if id(v) in frozen]
        if replicas.differing(known):
            raise ValueError(
                f"The frozen networks of the roles {list(self.frozen)} have "
                "other weights in other processes. Load the same weights in "
                "all, or call `keras.utils.set_random_seed` with the same "
                "number before they are made."
            )


class _BeginTogether(keras.callbacks.Callback):
    """Last of the callbacks, after those that restore a model."""

    def on_train_begin(self, logs=None):
        self.model.begin_together()
