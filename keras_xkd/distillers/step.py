import warnings

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import outside_trace
from keras_xkd.utils import modalities
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.terms import reduce_term


class Step:
    """What a training or test step is, apart from the backend.

    A mixin of `Distiller`; the mixin of the backend calls these functions in
    order: `objective`, then in training `fill_gradients`, then `record`.
    """

    def objective(self, x, y, sample_weight, training):
        """Returns each player's total, and what there is to report."""
        modalities.check_batch(x, y, sample_weight)
        x = modalities.by_name(x, self.named.get(self.main), self.named)
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
            own = self.run(self.main, x, training)
            here = modalities.presence(x, self.named[self.main])
            terms = self.task_terms(y, own, sample_weight, mask=here)
            outputs, extras = {self.main: own}, {}
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
        leaves = [v for v in keras.tree.flatten(x) if len(v.shape)]
        batch_size = ops.shape(leaves[0])[0]
        logs = {}
        if report["terms"]:
            logs = self.terms.update(
                totals[0], report["terms"], report["extras"], batch_size
            )
        y, labelled = self.labels(y)
        present = {
            role: modalities.presence(x, self.named[role])
            for role in report["predictions"]
        }
        metrics = self.role_metrics.update(
            y, report["predictions"], sample_weight, labelled, present
        )
        return {**logs, **metrics}

    def labels(self, y):
        """Labels without gaps, and which samples have one; None for all."""
        return y, None

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

    def _get_metrics_result_or_logs(self, logs):
        # Keras asks this at the end of every epoch and evaluation: the one
        # place where a data set without a batch shows on every backend.
        if not logs:
            raise ValueError(
                "The data set is empty: it has not a single batch."
            )
        return super()._get_metrics_result_or_logs(logs)
