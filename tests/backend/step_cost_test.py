import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.benchmark import step_cost
from tests.distiller_case import make_data
from tests.distillers.two_players import TwoPlayers

CE = "sparse_categorical_crossentropy"


def test_each_network_runs_once_per_step():
    calls = []

    class Counted(layers.Dense):
        def call(self, x):
            calls.append(self.name)
            return super().call(x)

    def network(modality, width, units, name):
        inputs = keras.Input((width,), name=modality)
        return keras.Model(inputs, Counted(units, name=name)(inputs))

    distiller = TwoPlayers(
        student=network("audio", 4, 3, "student_layer"),
        critic=network("logits", 3, 1, "critic_layer"),
    )
    distiller.compile("sgd", CE, run_eagerly=True)
    x, y = make_data(8, audio=4)
    distiller.train_on_batch(x, y)
    calls.clear()
    distiller.train_on_batch(x, y)
    # JAX traces the step once more for the names of its terms only when the
    # data changes its structure, which it did not.
    assert sorted(calls) == ["critic_layer", "student_layer"]


@pytest.mark.parametrize("kind", ["dense", "recurrent"])
def test_two_players_cost_one_forward_and_one_backward(kind):
    """JAX counts operations; the others must agree with its gradients."""
    if keras.backend.backend() == "jax":
        counts = step_cost.compare(kind)
        # The critic is differentiated twice: for itself, for the student.
        assert 1.0 <= counts["ratio"] < 1.1
        assert counts["two"]["loops"] == counts["one"]["loops"]
        assert counts["two"]["loops"] == (2 if kind == "recurrent" else 0)
        return
    distiller = step_cost._TwoPlayers(**step_cost.networks(kind, width=16))
    distiller.compile("sgd", CE)
    shape = (8, *distiller.student.input.shape[1:])
    x = {"audio": np.ones(shape, "float32")}
    before = [w.copy() for w in distiller.get_weights()]
    distiller.train_on_batch(x, np.arange(8))
    after = distiller.get_weights()
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    assert any(moved[: len(distiller.student.weights)])
    assert any(moved[len(distiller.student.weights) :])
