import keras

from keras_xkd.backend import replica_count
from keras_xkd.typing import Modalities


class Comparing:
    """Owns the layers that comparisons between networks need.

    A mixin of `Distiller`. Projections are made in the constructor, the
    memories of losses (`Comparison.companion`) by `compile`; those that the
    compiled objective does not use are left out of the training.
    """

    def keep_companion(
        self, term: str, layer: keras.layers.Layer
    ) -> keras.layers.Layer:
        """Owns the layer of a loss; keeps the old one when compiled again."""
        config = layer.get_config() | {"name": ""}
        while term in self.companions:
            kept = self.companions[term]
            if kept.get_config() | {"name": ""} == config:
                return kept
            term += "_"
        self.companions[term] = layer
        return layer

    def idle_layers(self) -> list[keras.layers.Layer]:
        own = keras.tree.flatten([self.projections, self.companions])
        used = {
            id(layer)
            for pair in keras.tree.flatten(self.plan.pairs)
            for layer in (*pair.projections, pair.companion)
        }
        return [layer for layer in own if id(layer) not in used]

    def companion_ids(self) -> set[int]:
        """The variables of memories, by identity."""
        layers = self.companions.values()
        return {id(v) for layer in layers for v in layer.variables}

    def statistics(self) -> list[keras.Variable]:
        """State of trained networks that samples move, such as the means of
        batch normalisation: where devices share a batch, those of each."""
        left_out = self.frozen_ids() | self.companion_ids()
        left_out |= {id(v) for v in self.terms.weights.values()}
        return [
            v
            for v in self.non_trainable_variables
            if id(v) not in left_out and "float" in v.dtype
        ]

    def check_contrast(self, x: Modalities, training: bool = True) -> None:
        """Raises if a contrast is trained with one sample at a time.

        A last batch that happens to have one sample is no reason to stop: it
        has no negatives, and its loss is 0.
        """
        shapes = [tuple(leaf.shape) for leaf in keras.tree.flatten(x)]
        sizes = {shape[0] for shape in shapes if shape}
        several = sizes != {1} or replica_count() > 1
        self._has_contrast = self._has_contrast or several
        if training and not self._has_contrast:
            raise ValueError(
                f"{type(self).__name__} tells every sample from the others of "
                "its batch, so that a batch needs two or more. Received: a "
                "batch of 1"
            )
