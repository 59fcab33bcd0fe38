import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_xkd.backend import outside_trace
from keras_xkd.typing import Labels, Mask, Modalities, Tensor, Weights
from keras_xkd.utils import described
from keras_xkd.utils import modalities
from keras_xkd.utils.running_means import RunningMeans
from keras_xkd.utils.step_result import checked_labels


class Report:
    """What steps, epochs and evaluations report. A mixin of `Distiller`."""

    batch_seen = None

    def record(
        self,
        report: dict[str, Any],
        totals: Sequence[Tensor],
        x: Modalities,
        y: Labels,
        sample_weight: Weights,
    ) -> dict[str, Tensor]:
        """Updates losses and metrics; returns the logs."""
        if self.batch_seen is None:  # For people, see `callbacks.RunReport`.
            self.batch_seen = described.seen(x, y, sample_weight)
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
        y, labelled = report["labels"]
        present = {
            role: modalities.presence(x, self.named[role])
            for role in report["predictions"]
        }
        metrics = self.role_metrics.update(
            y, report["predictions"], sample_weight, labelled, present
        )
        return {**logs, **metrics}

    def labels(self, y: Labels) -> tuple[Labels, Mask]:
        """Labels without gaps, and which samples have one; None for all."""
        return y, None

    def labelled(self, y: Labels) -> tuple[Labels, Mask]:
        """The same, also where a batch has no labels at all."""
        return (None, None) if y is None else checked_labels(self.labels(y))

    def _get_metrics_result_or_logs(self, logs):
        # Keras asks this at the end of every epoch and evaluation: the one
        # place where a data set without a batch shows on every backend.
        if not logs:
            raise ValueError(
                "The data set is empty: it has not a single batch."
            )
        return super()._get_metrics_result_or_logs(logs)

    def metric_results(self, names: Sequence[str]) -> dict[str, Tensor]:
        """What the metrics of these names have come to."""
        found: dict[str, Tensor] = {}
        for metric in self.metrics:
            if isinstance(metric, RunningMeans):
                found |= metric.result()
            elif metric.name in names:
                found[metric.name] = metric.result()
        return {name: found[name] for name in names}

    def check_finite(self, logs: Mapping[str, Tensor]) -> None:
        """Raises if asked to and a logged value is not finite."""
        if self.on_nonfinite != "raise":
            return
        bad = {
            name: float(np.mean(ops.convert_to_numpy(value)))
            for name, value in logs.items()
            if not np.all(np.isfinite(ops.convert_to_numpy(value)))
        }
        terms = [n for n in bad if n != "loss" and n in self.terms.names]
        if bad:
            raise ValueError(
                f"The loss is not finite: {', '.join(terms or bad)}. No weight "
                "was changed in this step. Received: "
                f"{ {name: bad[name] for name in terms or bad} }"
            )

    def report(
        self, path: str | os.PathLike, history: Any = None, **options: Any
    ) -> pathlib.Path:
        """Writes a page about this distiller: see `callbacks.RunReport`.

        Args:
            path: The HTML file.
            history: What `fit` returned, or a list with one for each seed. By
                default the last training.
            **options: Further arguments of `callbacks.RunReport`.

        Returns:
            The path.
        """
        # It draws, and what draws knows distillers.
        from keras_xkd.callbacks.run_report import RunReport

        return RunReport(path, **options).write(self, history)
