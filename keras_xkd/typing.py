"""Names for the types in the signatures of this package."""

import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeAlias
from typing import TypeVar

import keras
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:  # An optional package.
    Axes = Figure = Any

# A tensor of the backend, symbolic ones of Keras, or an array in the place of
# one. They have no type in common.
Tensor: TypeAlias = Any
Labels: TypeAlias = Tensor | None
Weights: TypeAlias = Tensor | None
Mask: TypeAlias = Tensor | None
Shape: TypeAlias = tuple[int | None, ...]

# One tensor, or a dict or list of them, for every modality.
Modalities: TypeAlias = dict[str, Any]
# What a network reads of it.
Inputs: TypeAlias = Tensor | Modalities
# What `fit` takes besides: data sets of tensorflow, torch, Grain and Keras.
Dataset: TypeAlias = Any
# `{modality: {degradation: strength}}`.
Degradations: TypeAlias = Mapping[str, Mapping[str, float | Sequence[int]]]
# A builder of tensorflow-datasets.
Builder: TypeAlias = Any
DatasetT = TypeVar("DatasetT")

# Built Keras models or layers, by name.
Networks: TypeAlias = Mapping[str, keras.layers.Layer]
# What plays a role: one network or several; None if it is not played.
Role: TypeAlias = (
    keras.layers.Layer | Sequence[keras.layers.Layer] | Networks | None
)
# Networks return one tensor, the logits, or several by name.
Outputs: TypeAlias = Tensor | dict[str, Tensor]
Transform: TypeAlias = keras.layers.Layer | Callable[[Any], Any]

# What `compile` takes: an object or the name of one; several by name.
LossLike: TypeAlias = str | keras.losses.Loss | Callable[[Any, Any], Any]
Losses: TypeAlias = LossLike | Mapping[str, LossLike] | None
MetricLike: TypeAlias = str | keras.metrics.Metric | Callable[[Any, Any], Any]
Metrics: TypeAlias = MetricLike | Sequence[MetricLike]
Optimizer: TypeAlias = str | keras.optimizers.Optimizer
DTypeLike: TypeAlias = str | keras.DTypePolicy
PathLike: TypeAlias = str | os.PathLike[str]

# What `compute_losses` returns: outputs by role, terms and logs by name.
StepResult: TypeAlias = tuple[
    dict[str, Any], dict[str, Tensor], dict[str, Tensor]
]
# Which terms each player minimises; None for those that nobody else does.
Players: TypeAlias = Mapping[str, Sequence[str] | None]
Interval: TypeAlias = tuple[float, float]
Split: TypeAlias = tuple[dict[str, Any], np.ndarray]

Pooling: TypeAlias = Literal["cls", "mean", "max", "attention"]
# A probability, or one for each modality.
Rate: TypeAlias = float | dict[str, float]
Temporal: TypeAlias = Literal["mean", "attention", "transformer"]
# All, nothing, or how many of the last blocks of a network learn.
Trainable: TypeAlias = Literal["all", "none"] | int

FusionMode: TypeAlias = Literal["concat", "mean", "sum", "attention"]

# What reads labels from features `(x, labels, x_new) -> probabilities`, and
# what scores pairs `(a, b) -> (a, b) -> scores`.
Classifier: TypeAlias = Literal["auto", "linear"] | Callable[..., np.ndarray]
Critic: TypeAlias = Literal["gaussian", "network"] | Callable[..., Any]
