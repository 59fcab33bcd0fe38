import jax
import jax.numpy as jnp
import keras
from jax.interpreters import partial_eval
from keras import ops

from keras_xkd.backend import jax_replicas as replicas
from keras_xkd.backend.jax_state import KeepsState


def outside_trace(fn):
    """Runs `fn`, which makes variables. Here nothing is in the way."""
    fn()


def no_gradient(fn, *args, **kwargs):
    """Runs `fn` as a constant."""
    outputs = fn(*args, **kwargs)
    return keras.tree.map_structure(ops.stop_gradient, outputs)


class BackendTrainer(KeepsState):
    """The training and test steps of a `Distiller` on JAX."""

    def check_devices(self, on_nonfinite):
        """Raises if the distribution that is set cannot train this model."""
        replicas.check_processes()
        replicas.check_devices_of(self.variables)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_state, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def objective(trainable):
            totals, report, new_state = self._stateless_objective(
                trainable, non_trainable, x, y, sample_weight, training=True
            )
            with keras.StatelessScope(
                zip(self.optimizer.variables, optimizer_state, strict=True)
            ):
                scaled = [self.optimizer.scale_loss(t) for t in totals]
            return scaled, (totals, report, new_state)

        # One forward pass; one cotangent per player pulls back its own total.
        scaled, pull_back, (totals, report, new_non_trainable) = jax.vjp(
            objective, trainable, has_aux=True
        )
        gradients = [None] * len(trainable)
        for player in range(len(scaled)):
            cotangents = [
                (jnp.ones_like if i == player else jnp.zeros_like)(total)
                for i, total in enumerate(scaled)
            ]
            (found,) = pull_back(cotangents)
            for i in self.ownership.indices(player, self.trainable_variables):
                gradients[i] = found[i]
        new_trainable, new_optimizer_state = self.optimizer.stateless_apply(
            optimizer_state, gradients, trainable
        )
        new_state = (new_trainable, new_non_trainable, new_optimizer_state)
        if self.on_nonfinite == "raise":
            finite = jnp.all(jnp.isfinite(jnp.stack(totals)))
            new_state = jax.tree.map(
                lambda new, old: jnp.where(finite, new, old),
                tuple(list(part) for part in new_state),
                (list(trainable), list(non_trainable), list(optimizer_state)),
            )
        logs, metrics = self._stateless_record(
            metrics, new_state[1], report, totals, x, y, sample_weight
        )
        return logs, (*new_state, metrics)

    def test_step(self, state, data):
        trainable, non_trainable, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        totals, report, non_trainable = self._stateless_objective(
            trainable, non_trainable, x, y, sample_weight, training=False
        )
        logs, metrics = self._stateless_record(
            metrics, non_trainable, report, totals, x, y, sample_weight
        )
        return logs, (trainable, non_trainable, metrics)

    def _stateless_objective(
        self, trainable, non_trainable, x, y, sample_weight, training
    ):
        mapping = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(self.non_trainable_variables, non_trainable, strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            totals, report = self.objective(x, y, sample_weight, training)
        # Some layers move their random state in inference too; what is frozen
        # keeps everything.
        frozen = self.frozen_ids()
        new_state = [
            old if id(v) in frozen else scope.get_current_value(v)
            for v, old in zip(
                self.non_trainable_variables, non_trainable, strict=True
            )
        ]
        return totals, report, new_state

    def _stateless_record(
        self, metrics, non_trainable, report, totals, x, y, sample_weight
    ):
        mapping = [
            *zip(self.metrics_variables, metrics, strict=True),
            *zip(self.non_trainable_variables, non_trainable, strict=True),
        ]
        with keras.StatelessScope(mapping) as scope:
            logs = self.record(report, totals, x, y, sample_weight)
        return logs, [
            scope.get_current_value(v) for v in self.metrics_variables
        ]

    def _get_jax_state(self, **kwargs):
        """The values of the variables, each in a buffer of its own.

        Averages of weights (EMA) overwrite the weights at the end of `fit`,
        and then share their buffer, which a step cannot use up twice.
        """
        seen = set()

        def own(value):
            if id(value) in seen:
                return jnp.copy(value)
            seen.add(id(value))
            return value

        state = super()._get_jax_state(**kwargs)
        return tuple([own(value) for value in part] for part in state)

    def _symbolic_build(self, iterator=None, data_batch=None):
        # Keras asks before every validation too, with the same iterator.
        if iterator is None or self._peeked is not iterator:
            if data_batch is None:
                data_batch = _first_batch(iterator)
            self._discover(data_batch)
            self._peeked = iterator
        super()._symbolic_build(data_batch=data_batch)

    def _discover(self, batch):
        """Learns the names of the terms before a step is traced.

        JAX needs every metric variable beforehand, also those that a metric
        makes when it first sees data.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        kind = repr(
            keras.tree.map_structure(
                lambda v: getattr(v, "ndim", None), (x, y, sample_weight)
            )
        )
        for training in (True, False):
            if (kind, training) in self._discovered:
                continue
            report, traced = {}, None

            def trace(trainable, x, y, sample_weight, training, report=report):
                with keras.StatelessScope(
                    zip(self.trainable_variables, trainable, strict=True),
                    collect_losses=True,
                ):
                    totals, found = self.objective(
                        x, y, sample_weight, training
                    )
                    report.update(found)
                    y, _ = found["labels"]
                    self.role_metrics.update(y, found["predictions"], None)
                return totals

            try:
                trainable = [v.value for v in self.trainable_variables]
                traced = jax.make_jaxpr(trace, static_argnums=4)(
                    trainable, x, y, sample_weight, training
                )
            except Exception:
                # An evaluation may lack what training needs, and the other
                # way round. A step that is really taken raises this again.
                pass
            if report:
                self.terms.ensure(report["terms"], report["extras"])
            if traced is not None:
                self._discovered.add((kind, training))
                if training:
                    self._warn_unused(traced.jaxpr)

    def _warn_unused(self, jaxpr):
        """Warns about the variables that their player's total ignores."""
        unused = []
        for player in range(len(self.players)):
            outputs = [i == player for i in range(len(self.players))]
            _, used = partial_eval.dce_jaxpr(jaxpr, outputs)
            unused += [
                self.trainable_variables[i].path
                for i in self.ownership.indices(
                    player, self.trainable_variables
                )
                if not used[i]
            ]
        if unused:
            self.warn_unused(unused)


def _first_batch(iterator):
    for _, _, batches in iterator:
        try:
            return next(batches)
        except StopIteration:
            break
    raise ValueError("The data set is empty: it has not a single batch.")
