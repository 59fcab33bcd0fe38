"""Contrastive distillation from a source modality to a target with few labels.

Lin et al. (2024): the source's encoder learns without labels, the target's
encoder learns from the source's on unlabelled pairs, and a task needs few
labels of the target. How much that helps, depends on what the modalities have
in common, and their bound contains a distance of the two.

`keras_xkd.datasets.latent_factors`: source `a` and target `b` have eight
factors each, of which some are common. What the target says about the label is
always the same; the share of it that the source could know changes, in two
ways:

- factors: more and more of the factors are common, and the label weighs all
  factors of the target alike;
- label: six of the eight factors are common, and the label moves from the
  others to these. Stages 1 and 2, and the distance of the embeddings without
  labels, are then the same for all shares.

Linear evaluation (LE) of the distilled encoder, fine-tuning (FT) of it and
training from scratch have the same labels, optimizer and network. Each has the
learning rate, of 0.001 to 0.03, and the number of epochs, of 5 to 160, that
were best on average over the objectives and over 0, 4 and 8 common factors, on
three seeds from 1000 on. All other settings were chosen on such seeds too.
"""

import keras
import numpy as np
from keras import layers

from keras_xkd.benchmark import record
from keras_xkd.benchmark.cmcd_report import OBJECTIVES
from keras_xkd.benchmark.cmcd_report import SWEEPS
from keras_xkd.benchmark.cmcd_report import draw
from keras_xkd.benchmark.cmcd_report import judge
from keras_xkd.benchmark.cmcd_report import text
from keras_xkd.benchmark.study import Restart
from keras_xkd.benchmark.study import Study
from keras_xkd.datasets import latent_factors
from keras_xkd.diagnostics import modality_distance
from keras_xkd.distillers import CMCD
from keras_xkd.distillers import ContrastivePretraining
from keras_xkd.losses import CrossModalContrast
from keras_xkd.losses import NTXent
from keras_xkd.losses import SimilarityDistribution
from keras_xkd.models import LinearProbe
from keras_xkd.visualization import canvas

FACTORS, COMMON = 8, 6
DIM, HIDDEN, WIDTH = 64, 64, 32
NOISE = {"a": 0.3, "b": 0.6}
TAU = 0.2
SETTINGS = {
    "shares": (0.0, 0.25, 0.5, 0.75, 1.0),
    "samples": {"source": 10000, "pairs": 10000, "labels": 64, "test": 2000},
    # Rate, batch and epochs.
    "source": (3e-3, 256, 8),
    "pairs": (3e-3, 256, 8),
    "le": (1e-2, 64, 40),
    "ft": (1e-2, 64, 10),
    "scratch": (3e-2, 64, 20),
    "distance": 1000,  # Pairs for the diagnostics.
}
QUICK = {
    "shares": (0.0, 1.0),
    "samples": {"source": 64, "pairs": 64, "labels": 32, "test": 64},
    **dict.fromkeys(("source", "pairs", "le", "ft", "scratch"), (1e-2, 32, 1)),
    "distance": 64,
}


def encoder(modality):
    """One hidden layer."""
    inputs = keras.Input((DIM,), name=modality)
    x = layers.Dense(HIDDEN, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(WIDTH)(x), name=modality)


def pretraining():
    return ContrastivePretraining(encoder=encoder("a"))


def distillation(first):
    """Stage 2 with a copy of what stage 1 learnt."""
    fresh = pretraining()
    fresh.set_weights(first.get_weights())
    return CMCD(
        student=encoder("b"),
        teacher=fresh.encoder,
        teacher_projector=fresh.projector,
    )


def probe(student=None, fine_tune=True):
    """Stage 3 with a copy of what stage 2 learnt, or from scratch."""
    network = encoder("b")
    if student is not None:
        network.set_weights(student.get_weights())
    return LinearProbe(network, 2, fine_tune=fine_tune)


def objectives():
    cmd, cmc = SimilarityDistribution(TAU / 2, TAU), CrossModalContrast(TAU)
    return {"cmd": cmd, "cmc": cmc, "sum": {"cmd": cmd, "cmc": cmc}}


def load(common, share, seed, samples):
    """The parts of one problem: `{part: (x, y)}`."""
    parts = {}
    for number, (part, size) in enumerate(samples.items()):
        data = latent_factors.load_data(
            size,
            dims={"a": DIM, "b": DIM},
            shared=common,
            private=FACTORS - common,
            noise=NOISE,
            label_share={"shared": share, "b": 1 - share},
            seed=seed,
            sample_seed=number,
        )
        parts[part] = (data.x, data.y)
    return parts


class Measurement:
    """Trains all rows from one seed; compiles every model once.

    Args:
        settings: See `SETTINGS`.
    """

    def __init__(self, settings):
        self.settings = settings
        self.first = self._ready(
            pretraining(), "source", distillation_loss=NTXent(TAU)
        )
        self.second = {
            name: self._ready(
                distillation(self.first.model),
                "pairs",
                distillation_loss=objectives()[name],
            )
            for name in OBJECTIVES
        }
        loss = {"loss": "sparse_categorical_crossentropy"}
        self.third = {
            row: self._ready(probe(fine_tune=row != "le"), row, **loss)
            for row in ("le", "ft", "scratch")
        }

    def _ready(self, model, stage, **arguments):
        rate = self.settings[stage][0]
        model.compile(keras.optimizers.Adam(rate), **arguments)
        return Restart(model)

    def __call__(self, seed):
        """Errors and distances of a seed, `{sweep: {share: {row: number}}}`."""
        keras.utils.set_random_seed(seed)
        shares = self.settings["shares"]
        factors = {}
        for share in shares:
            factors |= self._problems(round(share * FACTORS), [share], seed)
        label = self._problems(COMMON, shares, seed)
        return {"factors": factors, "label": label}

    def _problems(self, common, shares, seed):
        """Stages 1 and 2 once, and what they give for some shares."""
        problems = {
            f"{share:g}": load(common, share, seed, self.settings["samples"])
            for share in shares
        }
        unlabelled = next(iter(problems.values()))
        first = self.first(pretraining())
        self._fit(first, "source", unlabelled["source"][0])
        found = {
            share: {"scratch": self._error("scratch", probe(), parts)}
            for share, parts in problems.items()
        }
        for name, restart in self.second.items():
            second = restart(distillation(first))
            self._fit(second, "pairs", unlabelled["pairs"][0])
            pairs = self._embeddings(second, unlabelled["test"][0])
            marginal = modality_distance(*pairs)
            for share, parts in problems.items():
                for row in ("le", "ft"):
                    third = probe(second.student, fine_tune=row == "ft")
                    error = self._error(row, third, parts)
                    found[share][f"{name}_{row}"] = error
                labels = parts["test"][1][: len(pairs[0])]
                joint = modality_distance(*pairs, labels)
                found[share] |= {
                    f"{name}_total_variation": marginal.total_variation,
                    f"{name}_cosine": marginal.cosine,
                    f"{name}_joint_total_variation": (
                        joint.joint_total_variation
                    ),
                }
        return found

    def _fit(self, model, stage, x, y=None):
        _, batch, epochs = self.settings[stage]
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)

    def _error(self, row, fresh, parts):
        """Percent of the test samples, after training from the labels."""
        model = self.third[row](fresh)
        self._fit(model, row, *parts["labels"])
        x, y = parts["test"]
        logits = model.predict(x, batch_size=len(y), verbose=0)
        return 100 * float(np.mean(logits.argmax(-1) != y))

    def _embeddings(self, second, x):
        """Of source and target, as NumPy arrays."""
        x = {k: values[: self.settings["distance"]] for k, values in x.items()}
        return [
            keras.ops.convert_to_numpy(keras.ops.stop_gradient(rows))
            for rows in (second.source(x), second.target(x))
        ]


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `cmcd.json` and `cmcd.png`.
        quick: A smoke run with two problems, few samples and single epochs.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    settings = QUICK if quick else SETTINGS
    print(f"CMCD: {2 * len(settings['shares'])} problems, {len(seeds)} seeds")
    study = Study("cmcd", output, settings, arguments)
    results = study.measure(seeds, Measurement(settings))
    judged = {}
    for sweep, what in SWEEPS.items():
        found = [result[sweep] for result in results]
        judged[sweep] = judge(found)
        print(f"\n{text(found, judged[sweep], what)}")
    print(f"\n{record.describe()}\n")
    written = study.write(verdict=judged)
    drawn = draw(results, f"{output}/cmcd.png")
    print(f"Wrote {written} and {drawn}")
    return judged
