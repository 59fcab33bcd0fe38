import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_xkd.typing import Labels, Mask, Modalities, Outputs, Tensor, Weights
from keras_xkd.utils import modalities
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.replicas import gather_all
from keras_xkd.utils.replicas import value_of
from keras_xkd.utils.step_result import checked
from keras_xkd.utils.terms import masked_weight
from keras_xkd.utils.terms import per_position
from keras_xkd.utils.terms import reduce_term


class Step:
    """What a training or test step is, apart from the backend.

    A mixin of `Distiller`; the mixin of the backend calls these functions in
    order: `objective`, then in training `fill_gradients`, then `record` of
    `Report`. A method's `compute_losses` may use `task_terms` and `gather`.
    """

    def objective(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> tuple[list[Tensor], dict[str, Any]]:
        """Returns each player's total, and what there is to report."""
        modalities.check_batch(x, y, sample_weight)
        x = modalities.by_name(x, self.named.get(self.main), self.named)
        x = modalities.zero_absent(x)
        labels = self.labelled(y)
        if training:
            y = self.targets(x, y)
        try:
            result = self.compute_losses(x, y, sample_weight, training)
        except modalities.MissingModalityError:
            if training:
                raise
            # A test set for the student alone.
            own = self.run(self.main, x, training)
            here = modalities.presence(x, self.named[self.main])
            terms = self.task_terms(y, own, sample_weight, mask=here)
            result = {self.main: own}, terms, {}
        read = self.role_metrics.roles
        # A test set may be for the student alone; labels may be missing.
        all_needed = training and labels[0] is not None
        needed = read if all_needed else read & {self.main}
        outputs, terms, extras = checked(result, needed)
        self.terms.check_logs(terms, extras)
        terms = {n: reduce_term(v, sample_weight) for n, v in terms.items()}
        predictions = {
            role: prediction(outputs[role]) for role in read if role in outputs
        }
        self._check_something_to_do(terms, y, predictions, training)
        report = dict(
            terms=terms, extras=extras, predictions=predictions, labels=labels
        )
        return self._totals(terms, training), report

    def task_terms(
        self,
        y: Labels,
        outputs: Outputs,
        sample_weight: Weights,
        name: str = "task",
        mask: Mask = None,
        loss: keras.losses.Loss | None = None,
    ) -> dict[str, Tensor]:
        """The `loss` of a network as a term; by default the compiled one.

        The mean is over the samples that `mask`, shape `(batch,)`, selects.
        Their labels must be valid: for labels of -1 the loss itself needs
        `ignore_class=-1`. Without a loss or labels there is no term.
        """
        loss = self.task_loss if loss is None else loss
        if loss is None or y is None:
            return {}
        predicted = prediction(outputs)
        weight = masked_weight(sample_weight, mask, loss.reduction)
        weight = per_position(weight, predicted)
        return {name: value_of(loss, y, predicted, weight)}

    def gather(self, rows: Any) -> Any:
        """The rows of all replicas, for terms that compare samples.

        With several devices or processes `compute_losses` sees the samples of
        one. A term that is a mean over samples needs nothing more, nor do the
        losses of this package; a term that compares samples with each other
        is computed from the rows of all, on each replica alike.

        TensorFlow divides what a `keras.losses.Loss` returns by the number of
        replicas: give it to `task_terms(loss=...)` instead of calling it, or
        return one value per sample.

        Args:
            rows: A tensor or a structure of them, with one row per sample.
        """
        return gather_all(rows)

    def fill_gradients(
        self, gradients: Sequence[Tensor], variables: Sequence[keras.Variable]
    ) -> list[Tensor]:
        """Zeros for the variables that no term depends on."""
        pairs = list(zip(variables, gradients, strict=True))
        unused = [v.path for v, gradient in pairs if gradient is None]
        if unused:
            self.warn_unused(unused)
        return [
            ops.zeros(v.shape, v.dtype) if gradient is None else gradient
            for v, gradient in pairs
        ]

    def warn_unused(self, paths: Sequence[str]) -> None:
        """Warns once per compile about variables without a gradient."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"No loss term depends on the variables {paths}. Their "
                "gradients are taken as zero; weight decay still moves them.",
                stacklevel=2,
            )

    def _totals(self, terms, training):
        totals = []
        claimed = {n for names in self.players.values() for n in names or ()}
        for index, names in enumerate(self.players.values()):
            own = {
                name: value
                for name, value in terms.items()
                if (name not in claimed if names is None else name in names)
            }
            if training and not own:
                raise ValueError(
                    f"The player '{list(self.players)[index]}' minimises "
                    f"{list(names or ())}, of which `compute_losses` returned "
                    f"none. Received the terms {sorted(terms)}"
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
        if training and y is not None:
            self.terms.check_names(terms)
