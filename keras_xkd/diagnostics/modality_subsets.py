import itertools
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.benchmark.table import table
from keras_xkd.diagnostics import scoring
from keras_xkd.diagnostics.halves import check_confidence
from keras_xkd.typing import Axes, Dataset, Metrics
from keras_xkd.utils.arrays import to_array
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent
from keras_xkd.visualization.plot_missing_modalities import (
    plot_missing_modalities,
)

MOST = 8


class ModalitySubsets(Mapping[Any, dict[str, Any]]):
    """The result of `modality_subsets`; `print` gives a table.

    A mapping `{modalities: row}`: `result["audio"]`, or `result["audio",
    "video"]` in any order, is a dict with `modalities`, `samples`, and for
    each metric `<metric>` and `<metric>_interval`.
    """

    def __init__(
        self,
        rows: list[dict[str, Any]],
        metrics: list[str],
        name: str,
        reads_present: bool,
        confidence: float,
    ) -> None:
        self.rows = rows
        self.metrics = metrics
        self.name = name
        self.reads_present = reads_present
        self.confidence = confidence

    def __getitem__(self, modalities: str | Iterable[str]) -> dict[str, Any]:
        if isinstance(modalities, str):
            modalities = [modalities]
        for row in self.rows:
            if set(row["modalities"]) == set(modalities):
                return row
        raise KeyError(modalities)

    def __iter__(self) -> Iterator[Any]:
        return (row["modalities"] for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        percent = f"{100 * self.confidence:g} % interval"
        header = ["present", "samples"]
        for name in self.metrics:
            header += [name, percent]
        lines = []
        for row in self.rows:
            line = [" + ".join(row["modalities"]), row["samples"]]
            for name in self.metrics:
                interval = row[f"{name}_interval"]
                line.append(f"{row[name]:.3f}")
                line.append(
                    f"{interval[0]:.3f} to {interval[1]:.3f}"
                    if interval
                    else "-"
                )
            lines.append(line)
        text = table(header, lines)
        if not self.reads_present:
            text += (
                f"\n'{self.name}' does not read `present`: an absent modality "
                "is all zeros to it, as if it were there."
            )
        return text

    __repr__ = __str__

    def plot(self, ax: Axes | None = None, metric: str | None = None) -> Axes:
        """Draws a metric of every subset with its interval.

        Args:
            ax: Axes of matplotlib, or None for a new figure, `ax.figure`.
            metric: Name of the metric, by default the first.

        Returns:
            The axes.
        """
        figure = plot_missing_modalities(self, metric, ax)
        return figure.axes[0] if ax is None else ax


@keras_xkd_export("keras_xkd.diagnostics.modality_subsets")
def modality_subsets(
    model: keras.layers.Layer,
    x: Dataset,
    y: ArrayLike | None = None,
    metrics: Metrics = "accuracy",
    modalities: Sequence[str] | None = None,
    batch_size: int = 256,
    confidence: float = 0.95,
) -> ModalitySubsets:
    """How good a network is with every subset of its modalities.

    For each subset that is not empty, the other modalities are set to zero and
    marked as absent in `x["present"]`, and the network predicts. A network
    that does not read `present` takes the zeros for data, which the table
    says. Where `x["present"]` marks samples that lack a modality anyway, they
    count in the subsets of which the network can answer them: with any
    modality left if it reads `present`, else with all.

    Args:
        model: A network such as `LateFusion`, or a distiller, of which the
            student is meant.
        x: A dict of arrays; or a data set of batches `(x, y)`: `tf.data`,
            Grain, a PyTorch `DataLoader`, a `PyDataset`, a list or a
            generator. It is read once.
        y: The labels of arrays.
        metrics: A Keras metric, its name, or a list of them; those by name
            read logits.
        modalities: Names of the modalities that may be absent, at most 8; the
            others are always there. By default all that the network reads.
        batch_size: For arrays.
        confidence: Coverage of the intervals, over samples: Wilson's for
            accuracy, the normal one for other means, and with the standard
            error of a bootstrap for other metrics.

    Returns:
        A result that prints a table: a mapping, `result["audio", "video"]
        ["accuracy"]`; `rows`, a list of dicts in the order of the table; and
        `plot(ax=None, metric=None)`.

    Raises:
        ValueError: If there are no labels, if `modalities` names what the
            network does not read, or if predictions are not finite.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.diagnostics import modality_subsets
    >>> from keras_xkd.models import LateFusion
    >>> def encoder(name):
    ...     inputs = keras.Input((2,), name=name)
    ...     return keras.Model(inputs, keras.layers.Dense(4)(inputs))
    >>> model = LateFusion({n: encoder(n) for n in ("audio", "video")}, 2)
    >>> x = {"audio": np.ones((20, 2)), "video": np.ones((20, 2))}
    >>> result = modality_subsets(model, x, np.zeros(20))
    >>> list(result)
    [('audio',), ('video',), ('audio', 'video')]
    >>> result["audio"]["samples"]
    20
    """
    check_confidence(confidence)
    model = scoring.deployed(model)
    own, reads_present = scoring.reads(model)
    modalities = own if modalities is None else sorted(set(modalities))
    if set(modalities) - set(own) or not 1 <= len(modalities) <= MOST:
        raise ValueError(
            f"`modalities` must be 1 to {MOST} of {own}, which '{model.name}' "
            f"reads. Received: modalities={modalities}"
        )
    metrics = scoring.resolve(metrics)
    always = [name for name in own if name not in modalities]
    subsets = [
        tuple(sorted([*always, *chosen]))
        for size in range(0 if always else 1, len(modalities) + 1)
        for chosen in itertools.combinations(modalities, size)
    ]
    found: dict[tuple, tuple] = {subset: ([], []) for subset in subsets}
    for batch, labels in scoring.batches(x, y, batch_size):
        if labels is None:
            raise ValueError(
                "Metrics compare with labels: pass `y`, or a data set of "
                "batches `(x, y)`. Received: no labels"
            )
        if not isinstance(batch, dict):
            raise ValueError(
                "Modalities have names: `x` must be a dict `{modality: "
                f"array}}`. Received: {type(batch).__name__}"
            )
        for subset, (predictions, targets) in found.items():
            inputs, rows = _with_only(batch, subset, own, reads_present)
            inputs = select_modalities(inputs, model)
            predicted = scoring.predict(model, inputs)[rows]
            if not np.all(np.isfinite(predicted)):
                raise ValueError(
                    f"The predictions of '{model.name}' with {list(subset)} "
                    "alone must be finite. Received: NaN or inf"
                )
            predictions.append(predicted)
            targets.append(labels[rows])
    rows = []
    for subset, (predictions, targets) in found.items():
        if not targets:
            raise ValueError("The data set is empty: it has not a batch.")
        targets = np.concatenate(targets)
        scores = scoring.score(
            metrics, targets, np.concatenate(predictions), confidence
        )
        rows.append({"modalities": subset, "samples": len(targets), **scores})
    return ModalitySubsets(
        rows, list(metrics), model.name, reads_present, confidence
    )


def _with_only(x, subset, own, reads_present):
    """The batch without the other modalities, and who can be answered."""
    size = len(keras.tree.flatten(x)[0])
    masks = {name: np.full(size, name in x, "float32") for name in own}
    for name, mask in x.get("present", {}).items():
        masks[name] = np.asarray(mask, "float32").reshape(-1)
    rows = np.stack([masks[name] > 0 for name in subset])
    rows = rows.any(0) if reads_present else rows.all(0)
    for name in own:
        masks[name] = masks[name] * (name in subset)
    kept = {n: m for n, m in masks.items() if n in x}
    x = zero_absent({**x, "present": kept})
    return keras.tree.map_structure(to_array, x), rows
