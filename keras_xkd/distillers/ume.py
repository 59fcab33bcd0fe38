from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NoReturn

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import KeepsState
from keras_xkd.distillers.summary import Summary
from keras_xkd.losses.numerics import upcast
from keras_xkd.typing import DTypeLike, Modalities, Networks, Optimizer, Tensor
from keras_xkd.utils.averaging import average
from keras_xkd.utils.averaging import check_classes
from keras_xkd.utils.averaging import check_weights
from keras_xkd.utils.modalities import MissingModalityError
from keras_xkd.utils.modalities import has_modalities
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent
from keras_xkd.utils.outputs import Outputs
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.quiet_reading import QuietReading
from keras_xkd.utils.reads_logits import ReadsLogits
from keras_xkd.utils.symbolic import TypedExport
from keras_xkd.utils.symbolic import check_networks
from keras_xkd.utils.symbolic import symbolic_inputs
from keras_xkd.utils.symbolic import track


@keras_xkd_export("keras_xkd.distillers.UME")
class UME(
    QuietReading, KeepsState, TypedExport, ReadsLogits, Summary, keras.Model
):
    """Uni-modal ensemble: the average of the networks' probabilities.

    Nothing is trained here: each network was, by itself, on its own modality.
    It predicts, evaluates, saves and exports like any model, and can teach.

    Like every network of this package it returns what `from_logits=True`
    expects: the logarithm of the averaged probabilities, whose softmax is the
    average itself. A loss that `compile` is given by name reads it so.

    A modality that is missing, as a key of `x` or for single samples by
    `x["present"]`, is left out of the average. A sample without any modality
    gets equal probabilities.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import UME
    >>> def classifier(modality, width):
    ...     inputs = keras.Input((width,), name=modality)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> audio, video = classifier("audio", 4), classifier("video", 6)
    >>> ensemble = UME(models={"audio": audio, "video": video})
    >>> x = {"audio": np.ones((2, 4)), "video": np.ones((2, 6))}
    >>> log_probabilities = ensemble.predict(x, verbose=0)
    >>> np.exp(log_probabilities).sum(axis=1).round(4).tolist()
    [1.0, 1.0]
    >>> ensemble.predict({"audio": np.ones((2, 4))}, verbose=0).shape
    (2, 3)

    Args:
        models: A dict `{name: network}` of classifiers, in general named
            after the modality that they read. They return logits of the same
            classes, and run in inference mode.
        weights: A dict `{name: number}`, relative to each other; 1 for those
            that are not named. The paper's ensemble has equal weights.
        kind: `"softmax"` for exclusive classes, `"sigmoid"` for one logit or
            several independent labels; the result is then the logit of the
            averaged probability.
        name, dtype: See `keras.Model`.

    Raises:
        ValueError: If a network is not built, ends in a softmax or sigmoid,
            or has other classes than the rest, or if the weights are not
            usable; in a call, if `x` has none of the modalities.

    Reference: [Du et al., 2023](https://arxiv.org/abs/2305.01233)
    """

    parts = "models"
    players: dict[str, None] = {}  # For `summary`: nobody trains.
    modalities = ()  # It needs one of them, and none in particular.

    def __init__(
        self,
        *,
        models: Networks,
        weights: Mapping[str, float] | None = None,
        kind: Literal["softmax", "sigmoid"] = "softmax",
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype, autocast=False)
        check_networks("models", models)
        self.readout = Outputs()
        self.models = {key: models[key] for key in sorted(models)}
        track(self, self.models)
        self.vote = check_weights(weights, self.models)
        self.given_weights = weights
        self.kind = kind
        names = {m for model in models.values() for m in modalities_of(model)}
        self.optional = (*sorted(names), "present")
        check_classes(self.readout, self.models, kind)
        self(symbolic_inputs(self.models.values()))  # To export and to save.

    def call(self, x: Modalities, training: bool | None = None) -> Tensor:
        names = list(self.optional[:-1])
        if not isinstance(x, dict):
            raise ValueError(
                f"`x` must be a dict with some of {names}. Received: {type(x)}"
            )
        own = zero_absent(select_modalities(x, self))
        logits, weights = [], []
        for name, model in self.models.items():
            if not has_modalities(own, model):
                continue
            inputs = select_modalities(own, model)
            outputs = self.readout.run(model, inputs, training=False)
            (z,) = upcast(prediction(outputs))
            mask = presence(own, model)
            mask = ops.ones_like(z[:, 0]) if mask is None else mask
            logits.append(z)
            weights.append(self.vote[name] * mask[:, None])
        if not logits:
            raise MissingModalityError(
                f"'{self.name}' needs one of {names} or more. Received: "
                f"{sorted(x)}"
            )
        return average(ops.stack(logits), ops.stack(weights), self.kind)

    def compile(
        self, optimizer: Optimizer = "sgd", *args: Any, **kwargs: Any
    ) -> None:
        super().compile(optimizer, *args, **kwargs)
        # No training will build it, and a file with an optimizer that is not
        # built does not load.
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(
            "UME has nothing to train: it averages networks that are trained "
            "already. Train each of them by itself, or use UMT."
        )

    train_on_batch = fit

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "models": {n: serialize(m) for n, m in self.models.items()},
            "weights": self.given_weights,
            "kind": self.kind,
        }
