"""A small method with two players, as a user would write it."""

import keras
from keras import layers
from keras import ops

from keras_xkd.distillers import Distiller
from tests.distiller_case import classifier


@keras.saving.register_keras_serializable(package="tests")
class TwoPlayers(Distiller):
    frozen = ()
    players = {"student": None, "critic": ("critic",)}

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        scores = self.run("critic", student, training)["logits"][:, 0]
        terms = self.task_terms(y, student, sample_weight)
        terms["fool"] = ops.softplus(-scores)
        terms["critic"] = ops.softplus(scores)
        return {"student": student}, terms, {"mean_score": ops.mean(scores)}


def make_two_players():
    return TwoPlayers(
        student=classifier("audio", 4),
        critic=classifier("logits", 3, hidden=6, units=1),
    )


def recurrent(modality, steps, width, hidden=4):
    """A network with a scan inside."""
    inputs = keras.Input((steps, width), name=modality)
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(hidden)(inputs)))
