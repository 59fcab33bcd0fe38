from typing import Any

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.layers.perturbation import Perturbation
from keras_xkd.layers.perturbation import check_rate
from keras_xkd.typing import Modalities, Rate


@keras_xkd_export("keras_xkd.layers.ModalityDropout")
class ModalityDropout(Perturbation):
    """Drops whole modalities of single samples, but never all of a sample.

    A dropped modality is zero, token ids and padding masks included, as if
    the sample had come without it. Where all would be dropped, the one that
    came closest to being kept stays; with the same rate everywhere, that is
    any of them with the same chance. Only active in training.

    `LateFusion(..., dropout=ModalityDropout(0.3))` drops the features of whole
    encoders, as absent ones; a layer of this kind can also be mapped over the
    batches of a data set, with `training=True`.

    Args:
        rate: Probability with which each modality of a sample is dropped, or
            a dict `{modality: probability}`; what it does not name stays.
        seed: Seed of what is dropped.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        inputs: A dict `{modality: tensor or nested dict}`. Where it has masks
            in `inputs["present"]`, a modality that is absent from a sample
            does not count as kept, and the masks of what is dropped become 0.
        training: Whether to drop.

    Returns:
        A dict like `inputs`.

    Raises:
        ValueError: If the inputs are not a dict, a rate is not between 0 and
            1, or is given for a modality that the inputs do not have.

    Example:

    >>> import numpy as np
    >>> from keras_xkd.layers import ModalityDropout
    >>> layer = ModalityDropout(rate={"audio": 1.0})
    >>> x = {"audio": np.ones((1, 2)), "image": np.ones((1, 3))}
    >>> x = layer(x, training=True)
    >>> float(x["audio"][0, 0]), float(x["image"][0, 0])
    (0.0, 1.0)
    """

    # Applied to all modalities at once where it perturbs a student.
    joint = True

    def __init__(
        self,
        rate: Rate = 0.5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        for value in rate.values() if isinstance(rate, dict) else [rate]:
            check_rate(value)
        self.rate = rate

    def perturb(self, inputs: Modalities) -> Modalities:
        names, rates = self._rates(inputs)
        first = keras.tree.flatten(inputs[names[0]])[0]
        shape = (ops.shape(first)[0], len(names))
        drawn = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )
        given = inputs.get("present", {})
        present = ops.stack(
            [
                ops.reshape(ops.cast(given[name], "bool"), (-1,))
                if name in given
                else ops.ones(shape[:1], "bool")
                for name in names
            ],
            axis=1,
        )
        margin = ops.where(present, drawn - ops.convert_to_tensor(rates), -2.0)
        closest = ops.arange(len(names)) == ops.argmax(
            margin, axis=1, keepdims=True
        )
        kept = ops.logical_and(present, ops.logical_or(margin >= 0, closest))
        outputs, masks = dict(inputs), dict(given)
        for i, name in enumerate(names):
            outputs[name] = keras.tree.map_structure(
                lambda value, i=i: _keep(value, kept[:, i]), inputs[name]
            )
            if name in given:
                masks[name] = _keep(given[name], kept[:, i])
        return {**outputs, "present": masks} if given else outputs

    def _rates(self, inputs):
        """The modalities in a fixed order, and their rates."""
        if not isinstance(inputs, dict):
            raise ValueError(
                f"'{self.name}' expects a dict `{{modality: tensor}}`. "
                f"Received: inputs of type {type(inputs).__name__}"
            )
        names = sorted(set(inputs) - {"present"})
        if not isinstance(self.rate, dict):
            return names, [float(self.rate)] * len(names)
        unknown = sorted(set(self.rate) - set(names))
        if unknown:
            raise ValueError(
                f"`rate` names the modalities {unknown}. Received: inputs "
                f"with {names}"
            )
        return names, [float(self.rate.get(name, 0)) for name in names]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


def _keep(value, kept):
    kept = ops.reshape(kept, (-1,) + (1,) * (len(value.shape) - 1))
    return ops.where(kept, value, ops.zeros_like(value))
