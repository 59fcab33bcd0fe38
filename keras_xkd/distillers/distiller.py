import functools
import inspect
import types
import warnings

import keras
import numpy as np
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import BackendTrainer
from keras_xkd.backend import no_gradient
from keras_xkd.backend import outside_trace
from keras_xkd.utils import modalities
from keras_xkd.utils.outputs import Outputs
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.players import Ownership
from keras_xkd.utils.players import resolve_optimizer
from keras_xkd.utils.role_metrics import RoleMetrics
from keras_xkd.utils.task_loss import resolve_task_loss
from keras_xkd.utils.terms import Terms
from keras_xkd.utils.terms import check_weights
from keras_xkd.utils.terms import masked_weight
from keras_xkd.utils.terms import reduce_term


@keras_xkd_export("keras_xkd.distillers.Distiller")
class Distiller(BackendTrainer, keras.Model):
    """Trains networks that play roles, by named loss terms.

    A method is a subclass with one function, `compute_losses`, which runs the
    networks once and returns the terms of the objective. This class owns the
    rest: roles, the weighted sum of the terms, logs, metrics and saving; a
    mixin per backend owns the training step.

    Example:

    ```python
    class Mimic(keras_xkd.distillers.Distiller):
        def compute_losses(self, x, y, sample_weight, training):
            student = self.run("student", x, training)
            teacher = self.ask("teacher", x)
            gap = ops.square(student["logits"] - teacher["logits"])
            return {"student": student}, {"mimic": ops.mean(gap, axis=-1)}, {}

    distiller = Mimic(student=student, teacher=teacher)
    distiller.compile("adam")
    distiller.fit({"audio": audio, "image": image})
    ```

    Class attributes:
        frozen: Roles that never learn. Their variables are left out of
            `trainable_variables`; their `trainable` flags are not touched.
        players: A dict `{player: names of the terms it minimises}`, None for
            all terms that no other player claims. Each player's total is
            differentiated with respect to its own variables only, on the same
            forward pass. The first player's total is logged as `loss`.

    Args:
        name: Name of the model.
        dtype: Dtype or policy of the model.
        **roles: The networks, by role: each a built Keras layer or model, or
            a list or dict of them. None leaves a role out. `student` is the
            network that `call`, `predict` and `evaluate` use.

    Raises:
        ValueError: If there is no student, or a network is not built.
    """

    frozen = ("teacher",)
    players = {"student": None}

    def __init__(self, *, name=None, dtype=None, **roles):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.readout = Outputs()
        self.on_nonfinite = None
        self.plan = types.SimpleNamespace(weights=None, pairs={})
        self.terms = Terms({})
        self.role_metrics = RoleMetrics(None, None, ())
        self._discovered = set()
        self._arguments = None
        self.roles = {r: n for r, n in roles.items() if n is not None}
        self.named = _by_name(self.roles)
        for role in roles:
            setattr(self, role, self.roles.get(role))
        if "student" not in self.roles:
            raise ValueError(
                f"{type(self).__name__} needs a `student`. Received the roles "
                f"{sorted(self.roles)}"
            )
        self.built = True

    # What a method defines.

    def compute_losses(self, x, y, sample_weight, training):
        """One forward pass of the networks and the terms of the objective.

        Args:
            x: A batch `{modality: tensor or nested dict}`.
            y: What `targets` returned in training, the labels in evaluation;
                None without labels.
            sample_weight: Weights of the samples, or None.
            training: Whether this is a training step.

        Returns:
            A tuple of outputs by role, terms by name (scalars, or one value
            per sample, which are then weighted and averaged) and further
            scalars to log.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `compute_losses`."
        )

    def targets(self, x, y):
        """What labels mean in training: by default `y` itself."""
        return y

    def player_layers(self, player):
        """The layers that a player trains.

        By default a player has the networks of the role of the same name, and
        the player whose terms are None has everything else.
        """
        if self.players[player] is not None:
            return self.networks(player)
        taken = [n for role in self.frozen for n in self.networks(role)]
        for other, terms in self.players.items():
            if terms is not None:
                taken.extend(self.player_layers(other))
        taken.extend(self.idle_layers())
        taken = {id(layer) for layer in taken}
        return [layer for layer in self.layers if id(layer) not in taken]

    def idle_layers(self):
        """Layers of this model that the compiled objective does not use."""
        return []

    def prepare(self, task_loss, distillation_loss):
        """Checks and connects what `compile` was given.

        Returns:
            A plan: `weights`, the default weights of all terms or None when
            the terms are not known before the first batch; and `pairs`, what
            the method needs to compute them.
        """
        if distillation_loss is not None:
            raise ValueError(
                f"{type(self).__name__} does not use `distillation_loss`: its "
                "terms are those that `compute_losses` returns. "
                f"Received: distillation_loss={distillation_loss}"
            )
        return types.SimpleNamespace(weights=None, pairs={})

    # What a method uses.

    def networks(self, role):
        """The networks of a role, as a list."""
        return keras.tree.flatten(self.roles.get(role, []))

    def run(self, role, x, training):
        """Runs a trained network on its modalities.

        Args:
            role: Name of a network: its role, its key if the role holds a
                dict, `<role>_<i>` if the role holds a list.
            x: A batch, of which the network gets what it reads.
            training: Passed on to the network.

        Returns:
            A dict of outputs; a single tensor becomes `{"logits": tensor}`.
        """
        network = self.named[role]
        inputs = modalities.select_modalities(x, network)
        return self.readout.run(network, inputs, training)

    def ask(self, role, x):
        """Runs a frozen network: in inference mode and without gradient."""
        return no_gradient(self.run, role, x, training=False)

    def task_terms(self, y, outputs, sample_weight, name="task", mask=None):
        """The compiled `loss` of a network as a term, if there are labels."""
        if self.task_loss is None or y is None:
            return {}
        weight = masked_weight(sample_weight, mask, self.task_loss.reduction)
        return {name: self.task_loss(y, prediction(outputs), weight)}

    # The step, as the mixin of a backend uses it.

    def objective(self, x, y, sample_weight, training):
        """Returns each player's total, and what there is to report."""
        modalities.check_batch(x, y, sample_weight)
        x = modalities.zero_absent(x)
        if training:
            y = self.targets(x, y)
        try:
            outputs, terms, extras = self.compute_losses(
                x, y, sample_weight, training
            )
        except modalities.MissingModalityError:
            if training:
                raise
            # A test set for the student alone.
            student = self.run("student", x, training)
            terms = self.task_terms(y, student, sample_weight)
            outputs, extras = {"student": student}, {}
        terms = {n: reduce_term(v, sample_weight) for n, v in terms.items()}
        predictions = {
            role: prediction(outputs[role])
            for role in self.role_metrics.roles
            if role in outputs
        }
        self._check_something_to_do(terms, y, predictions, training)
        report = {"terms": terms, "extras": extras, "predictions": predictions}
        return self._totals(terms, training), report

    def record(self, report, totals, x, y, sample_weight):
        """Updates losses and metrics; returns the logs."""
        if self.terms.lacks(report["terms"], report["extras"]):
            outside_trace(
                lambda: self.terms.ensure(report["terms"], report["extras"])
            )
        batch_size = ops.shape(keras.tree.flatten(x)[0])[0]
        logs = {}
        if report["terms"]:
            logs = self.terms.update(
                totals[0], report["terms"], report["extras"], batch_size
            )
        metrics = self.role_metrics.update(
            y, report["predictions"], sample_weight
        )
        return {**logs, **metrics}

    def fill_gradients(self, gradients, variables):
        """Zeros for the variables that no term depends on."""
        unused = [
            v.path
            for v, gradient in zip(variables, gradients, strict=True)
            if gradient is None
        ]
        if unused:
            self.warn_unused(unused)
        return [
            ops.zeros(v.shape, v.dtype) if gradient is None else gradient
            for v, gradient in zip(variables, gradients, strict=True)
        ]

    def warn_unused(self, paths):
        """Warns once per compile about variables without a gradient."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"No loss term depends on the variables {paths}. Their "
                "gradients are taken as zero; weight decay still moves them.",
                stacklevel=2,
            )

    def check_finite(self, logs):
        """Raises if asked to and a logged value is not finite."""
        if self.on_nonfinite != "raise":
            return
        bad = {
            name: float(np.mean(ops.convert_to_numpy(value)))
            for name, value in logs.items()
            if not np.all(np.isfinite(ops.convert_to_numpy(value)))
        }
        terms = [n for n in bad if n != "loss" and n in self.terms.means]
        if bad:
            raise ValueError(
                f"The loss is not finite: {', '.join(terms or bad)}. No weight "
                "was changed in this step. Received: "
                f"{ {name: bad[name] for name in terms or bad} }"
            )

    def _totals(self, terms, training):
        totals = []
        claimed = {n for names in self.players.values() for n in names or ()}
        for index, names in enumerate(self.players.values()):
            own = {
                name: value
                for name, value in terms.items()
                if name in (names or ())
                or (names is None and name not in claimed)
            }
            absent = sorted(set(names or ()) - set(own))
            if training and absent:
                raise ValueError(
                    f"The player '{list(self.players)[index]}' minimises "
                    f"{absent}, which `compute_losses` did not return. "
                    f"Received the terms {sorted(terms)}"
                )
            penalties = self.ownership.penalties(index) if own else ()
            totals.append(self.terms.total(own, penalties))
        return totals

    def _check_something_to_do(self, terms, y, predictions, training):
        if training and not terms:
            raise ValueError(
                "There is no loss term to train with. Pass labels together "
                "with `compile(loss=...)`, or a `distillation_loss`. Received: "
                f"labels: {y is not None}, loss: {self.task_loss}"
            )
        if not terms and (y is None or not predictions):
            raise ValueError(
                "There is nothing to evaluate: no loss term and no metric can "
                "be computed from this data. It needs labels, or the "
                f"modalities of the teacher. Received: labels: {y is not None}"
            )
        self.terms.check_names(terms)

    # Keras.

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        distillation_loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        on_nonfinite=None,
        **kwargs,
    ):
        """Configures the training.

        Args:
            optimizer: As in Keras, or a dict with one for every player.
            loss: The loss of the task, compared with labels. Networks return
                logits: a classification loss given by name reads logits.
            distillation_loss: One loss between teacher and student, or a dict
                `{term: loss}`: losses of `keras_xkd.losses`, or any Keras
                loss, which then compares features.
            loss_weights: A dict `{term: number}`. A term that is not named
                keeps its default.
            metrics: Metrics of the student's predictions, or a dict by role.
            weighted_metrics: The same, weighted by `sample_weight`.
            on_nonfinite: `"raise"` stops at the first loss that is not
                finite, naming the term, before any weight changes. This
                waits for the result of every step.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        if on_nonfinite not in (None, "raise"):
            raise ValueError(
                "`on_nonfinite` must be None or 'raise'. "
                f"Received: on_nonfinite={on_nonfinite!r}"
            )
        arguments = types.SimpleNamespace(
            optimizer=optimizer,
            loss=loss,
            distillation_loss=distillation_loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            on_nonfinite=on_nonfinite,
            **kwargs,
        )
        task_loss = resolve_task_loss(loss)
        role_metrics = RoleMetrics(metrics, weighted_metrics, self.named)
        plan = self.prepare(task_loss, distillation_loss)
        weights = check_weights(loss_weights, plan.weights)
        previous, self.plan = self.plan, plan
        try:
            ownership = Ownership(
                self.players,
                self.player_layers,
                self.trainable_variables,
                {
                    role: [v for n in self.networks(role) for v in n.variables]
                    for role in self.frozen
                },
            )
            optimizer = resolve_optimizer(optimizer, ownership)
            super().compile(optimizer=optimizer, **kwargs)
        except Exception:
            self.plan = previous
            raise
        self.loss = loss
        self.task_loss = task_loss
        self.role_metrics = role_metrics
        self.terms = Terms(weights, known=plan.weights is not None)
        self.ownership = ownership
        self.on_nonfinite = on_nonfinite
        # With its state in place from the start, a model that is saved
        # before its first step loads like any other.
        self.optimizer.build(ownership.variables)
        self._discovered = set()
        self._peeked = None
        self._warned = False
        self._arguments = arguments

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, *args, **kwargs):
        modalities.check_not_empty(x)
        given = inspect.signature(keras.Model.fit).bind(
            self, x, *args, **kwargs
        )
        if given.arguments.get("class_weight") and isinstance(x, dict):
            if given.arguments.get("y") is None:
                raise ValueError(
                    "`class_weight` needs labels: pass `y`, or leave it out. "
                    "Received: y=None"
                )
        return super().fit(x, *args, **kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, *args, **kwargs):
        modalities.check_not_empty(x)
        return super().evaluate(x, *args, **kwargs)

    @property
    def loss_weights(self):
        """The present weights of the terms, a dict `{term: number}`."""
        return self.terms.weight_values()

    def set_loss_weight(self, term, value):
        """Changes the weight of a term, without a new trace."""
        self.terms.set_weight(term, value)

    def call(self, x, training=None):
        """The student's own output."""
        student = self.roles["student"]
        inputs = modalities.select_modalities(x, student)
        return student(inputs, training=training)

    @property
    def metrics(self):
        return [*self.terms.metrics, *self.role_metrics.metrics]

    @property
    def variables(self):
        return [*super().variables, *self.terms.weights.values()]

    @property
    def trainable_variables(self):
        return self._without_frozen(super().trainable_variables)

    @property
    def non_trainable_variables(self):
        trained = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trained]

    @property
    def trainable_weights(self):
        return self._without_frozen(super().trainable_weights)

    @property
    def non_trainable_weights(self):
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    def _without_frozen(self, variables):
        layers = [n for role in self.frozen for n in self.networks(role)]
        left_out = {
            id(v) for n in [*layers, *self.idle_layers()] for v in n.variables
        }
        return [v for v in variables if id(v) not in left_out]

    def _get_metrics_result_or_logs(self, logs):
        # Keras asks this at the end of every epoch and evaluation: the one
        # place where a data set without a batch shows on every backend.
        if not logs:
            raise ValueError(
                "The data set is empty: it has not a single batch."
            )
        return super()._get_metrics_result_or_logs(logs)

    def get_config(self):
        config = {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }
        for role, networks in self.roles.items():
            config[role] = keras.tree.map_structure(
                keras.saving.serialize_keras_object, networks
            )
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(
                    value, custom_objects=custom_objects
                )
                for key, value in config.items()
            }
        )

    def get_compile_config(self):
        if self._arguments is None:
            return {}
        return keras.saving.serialize_keras_object(vars(self._arguments))

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def save_own_variables(self, store):
        for name, value in self.terms.weight_values().items():
            store[name] = np.asarray(value, "float32")

    def load_own_variables(self, store):
        for name in store.keys():
            if name in self.terms.weights:
                self.terms.set_weight(name, float(np.asarray(store[name])))


def _by_name(roles):
    """The networks under one name each; checks that they are usable."""
    named = {}
    for role, networks in roles.items():
        if isinstance(networks, dict):
            found = dict(networks)
        elif isinstance(networks, (list, tuple)):
            found = {f"{role}_{i}": n for i, n in enumerate(networks)}
        else:
            found = {role: networks}
        for name, network in found.items():
            if not isinstance(network, keras.layers.Layer):
                raise ValueError(
                    f"The role '{role}' needs a Keras layer or model. "
                    f"Received: {network} of type {type(network).__name__}"
                )
            if not network.built:
                raise ValueError(
                    f"The {role} '{network.name}' (of type "
                    f"{type(network).__name__}) is not built. Give it a "
                    "`keras.Input`, or call it once on a batch of data."
                )
            if name in named:
                raise ValueError(
                    f"Two networks are named '{name}'. Received the roles "
                    f"{sorted(roles)}"
                )
            named[name] = network
    return named
