import inspect
import types
from collections.abc import Mapping
from typing import Any
from typing import Literal

import keras

from keras_xkd import typing as t
from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import BackendTrainer
from keras_xkd.distillers.comparing import Comparing
from keras_xkd.distillers.own_state import OwnState
from keras_xkd.distillers.report import Report
from keras_xkd.distillers.role_model import RoleModel
from keras_xkd.distillers.step import Step
from keras_xkd.distillers.summary import Summary
from keras_xkd.utils import modalities
from keras_xkd.utils.compile_arguments import CompileArguments
from keras_xkd.utils.like_keras import like_keras
from keras_xkd.utils.monitoring import choose_modes
from keras_xkd.utils.monitoring import watched
from keras_xkd.utils.players import Ownership
from keras_xkd.utils.players import resolve_optimizer
from keras_xkd.utils.quiet_reading import QuietReading
from keras_xkd.utils.role_metrics import RoleMetrics
from keras_xkd.utils.task_loss import reads_logits
from keras_xkd.utils.task_loss import resolve_task_loss
from keras_xkd.utils.terms import Terms
from keras_xkd.utils.terms import check_weights


@keras_xkd_export("keras_xkd.distillers.Distiller")
class Distiller(  # type: ignore[misc]  # The backend's steps come first.
    QuietReading,
    BackendTrainer,
    Step,
    Report,
    Summary,
    Comparing,
    OwnState,
    CompileArguments,
    RoleModel,
):
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
        main: The role of the network that `call`, `predict` and `evaluate`
            use.
        frozen: Roles that never learn. Their variables are left out of
            `trainable_variables`; their `trainable` flags are not touched.
        players: A dict `{player: names of the terms it minimises}`, None for
            all terms that no other player claims. Each player's total is
            differentiated with respect to its own variables only, on the same
            forward pass. The first player's total is logged as `loss`.
        default_loss: `loss` where `compile` is given none.

    Args:
        name: Name of the model.
        dtype: Dtype or policy of the model.
        **roles: The networks, by role: each a built Keras layer or model, or
            a list or dict of them. None leaves a role out, but not `main`.

    Raises:
        ValueError: If the main role is missing, or a network is not built.
    """

    players: t.Players = {"student": None}
    default_loss: t.LossLike | None = None

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: t.DTypeLike | None = None,
        **roles: t.Role,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **roles)
        self.on_nonfinite: str | None = None
        self.projections: dict[str, Any] = {}
        self.companions: dict[str, keras.layers.Layer] = {}
        self._has_contrast = False
        self.plan = types.SimpleNamespace(weights=None, pairs={})
        self.task_loss: keras.losses.Loss | None = None
        self.terms = Terms({})
        self.role_metrics = RoleMetrics(None, None, ())

    # What a method defines.

    def compute_losses(
        self,
        x: t.Modalities,
        y: t.Labels,
        sample_weight: t.Weights,
        training: bool,
    ) -> t.StepResult:
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
            scalars to log. Where devices share a batch, see `gather`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `compute_losses`."
        )

    def targets(self, x: t.Modalities, y: t.Labels) -> t.Labels:
        """What labels mean in training: by default `y` itself."""
        return y

    def player_layers(self, player: str) -> list[keras.layers.Layer]:
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

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: t.Losses
    ) -> types.SimpleNamespace:
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
        if reads_logits(task_loss):
            for network in self.networks(self.main):
                self.readout.check_logits(network)
        return types.SimpleNamespace(weights=None, pairs={})

    # Keras.

    def compile(
        self,
        optimizer: t.Optimizer | Mapping[str, t.Optimizer] = "rmsprop",
        loss: t.LossLike | None = None,
        distillation_loss: t.Losses = None,
        loss_weights: Mapping[str, float] | None = None,
        metrics: t.Metrics | Mapping[str, t.Metrics] | None = None,
        weighted_metrics: t.Metrics | Mapping[str, t.Metrics] | None = None,
        on_nonfinite: Literal["raise"] | None = None,
        **kwargs: Any,
    ) -> None:
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
            metrics: Metrics of the student's logits, or a dict by role.
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
        arguments = dict(
            optimizer=optimizer,
            loss=loss,
            distillation_loss=distillation_loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            on_nonfinite=on_nonfinite,
            **kwargs,
        )
        self.check_devices(on_nonfinite)
        task_loss = resolve_task_loss(loss or self.default_loss)
        role_metrics = RoleMetrics(
            metrics, weighted_metrics, self.named, self.main
        )
        before = self.plan, set(self.companions)
        try:
            self.plan = self.prepare(task_loss, distillation_loss)
            weights = check_weights(loss_weights, self.plan.weights)
            frozen = {r: self.networks(r) for r in self.frozen}
            ownership = Ownership(
                self.players,
                self.player_layers,
                self.trainable_variables,
                frozen,
            )
            optimizer = resolve_optimizer(optimizer, ownership)
            super().compile(optimizer=optimizer, **kwargs)
        except Exception:
            self.plan, companions = before
            for term in set(self.companions) - companions:
                self.companions.pop(term)
            raise
        self.loss = loss  # type: ignore[assignment, method-assign]
        self.task_loss = task_loss
        self.role_metrics = role_metrics
        self.terms = Terms(weights, known=self.plan.weights is not None)
        self.ownership = ownership
        self.on_nonfinite = on_nonfinite
        # With its state in place from the start, a model that is saved
        # before its first step loads like any other.
        self.optimizer.build(ownership.variables)
        self._discovered: set[tuple[str, bool]] = set()
        self._peeked = None
        self._warned = self._verified = self._together = False
        self.keep_arguments(**arguments)

    @like_keras(keras.Model.fit)
    def fit(
        self, x: Any = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        modalities.check_not_empty(x)
        self.check_devices(self.on_nonfinite)
        signature = inspect.signature(keras.Model.fit)
        given = signature.bind(self, x, *args, **kwargs).arguments
        unlabelled = isinstance(x, dict) and given.get("y") is None
        if unlabelled and given.get("class_weight"):
            raise ValueError("`class_weight` needs labels. Received: y=None")
        choose_modes(given.get("callbacks"), self.role_metrics.metrics)
        with watched(given):
            return super().fit(x, *args, **kwargs)

    @like_keras(keras.Model.evaluate)
    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        modalities.check_not_empty(x)
        self.check_devices(self.on_nonfinite)
        if not self.compiled:  # Keras asks on some backends only.
            raise ValueError("Call `compile` before `evaluate`.")
        return super().evaluate(x, *args, **kwargs)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The present weights of the terms, a dict `{term: number}`."""
        return self.terms.weight_values()

    def set_loss_weight(self, term: str, value: float) -> None:
        """Changes the weight of a term, without a new trace."""
        self.terms.set_weight(term, value)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        # Without those that wait for data to make their variables.
        built = [m for m in self.role_metrics.metrics if m.variables]
        return [*self.terms.metrics, *built]

    @property
    def variables(self) -> list[keras.Variable]:
        # The weights of the terms are state of the step, not of a network.
        return [*super().variables, *self.terms.weights.values()]
