"""What a training step with two players costs, by JAX's cost analysis."""

import pathlib

import keras
from keras import layers
from keras import ops

from keras_xkd.benchmark import record
from keras_xkd.benchmark.table import table
from keras_xkd.distillers import Distiller


class _TwoPlayers(Distiller):
    """A student, and a critic that looks at its logits."""

    frozen = ()
    players = {"student": None, "critic": ("critic",)}

    def compute_losses(self, x, y, sample_weight, training):
        student = self.run("student", x, training)
        scores = self.run("critic", student, training)["logits"][:, 0]
        terms = self.task_terms(y, student, sample_weight)
        terms["fool"] = ops.softplus(-scores)
        terms["critic"] = ops.softplus(scores)
        return {"student": student}, terms, {}


class _OnePlayer(_TwoPlayers):
    """The same terms, all minimised by one player: one backward pass."""

    players = {"student": None}


def networks(kind, width=256, classes=10):
    """A student, `"dense"` or `"recurrent"` (with a scan), and a critic."""
    if kind == "dense":
        inputs = keras.Input((width,), name="audio")
        x = inputs
        for _ in range(3):
            x = layers.Dense(width, activation="relu")(x)
    else:
        inputs = keras.Input((16, 32), name="audio")
        x = layers.GRU(width // 4)(inputs)
    logits = keras.Input((classes,), name="logits")
    critic = layers.Dense(64, activation="relu")(logits)
    return {
        "student": keras.Model(inputs, layers.Dense(classes)(x)),
        "critic": keras.Model(logits, layers.Dense(1)(critic)),
    }


def count(distiller, batch_size=64):
    """Operations and loops of a compiled training step, on JAX.

    Returns:
        A dict with `flops`, and `loops`, the number of `while` loops.
    """
    import jax
    import numpy as np

    student = distiller.student
    shape = (batch_size, *student.input.shape[1:])
    batch = (
        {"audio": np.zeros(shape, "float32")},
        np.zeros(batch_size, "int32"),
        None,
    )
    distiller.train_on_batch(*batch[:2])  # Makes all variables.
    state = (
        [v.value for v in distiller.trainable_variables],
        [v.value for v in distiller.non_trainable_variables],
        [v.value for v in distiller.optimizer.variables],
        [v.value for v in distiller.metrics_variables],
    )
    compiled = jax.jit(distiller.train_step).lower(state, batch).compile()
    analysis = compiled.cost_analysis()
    if isinstance(analysis, list):
        analysis = analysis[0]
    return {
        "flops": float(analysis["flops"]),
        "loops": compiled.as_text().count(" while("),
    }


def compare(kind):
    """Two players against one that minimises the sum of all terms.

    The one-player step is one forward and one backward pass of each network.

    Returns:
        A dict with the counts of both and `ratio`, of their operations.
    """
    counts = {}
    for name, method in [("two", _TwoPlayers), ("one", _OnePlayer)]:
        distiller = method(**networks(kind))
        distiller.compile("sgd", "sparse_categorical_crossentropy")
        counts[name] = count(distiller)
    counts["ratio"] = counts["two"]["flops"] / counts["one"]["flops"]
    return counts


def run(seeds, output, quick=False, arguments=("benchmark", "step-cost")):
    """Prints and writes the comparison; there is nothing random in it."""
    if keras.backend.backend() != "jax":
        raise SystemExit(
            "This benchmark counts operations with JAX. Run it with "
            "`--backend jax`."
        )
    results = {kind: compare(kind) for kind in ("dense", "recurrent")}
    rows = [
        [
            kind,
            f"{counts['one']['flops'] / 1e6:.2f}",
            f"{counts['two']['flops'] / 1e6:.2f}",
            f"{counts['ratio']:.4f}",
            f"{counts['one']['loops']} and {counts['two']['loops']}",
        ]
        for kind, counts in results.items()
    ]
    header = ["student", "one player, MFLOP", "two players", "ratio", "loops"]
    print(f"{table(header, rows)}\n\n{record.describe()}")
    path = pathlib.Path(output) / "step_cost.json"
    record.write(path, results, arguments, seeds)
    return results
