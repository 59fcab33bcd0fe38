"""Calls as users write them, checked by mypy; nothing here runs.

Each wrong call ends with `type: ignore`. As mypy warns of one that ignores
nothing, a hint that lets a wrong call pass is an error.
"""

import pathlib
from typing import Literal
from typing import assert_type

import keras
import numpy as np

import keras_xkd
from keras_xkd.typing import Labels, Modalities, StepResult, Weights

inputs = keras.Input((4,), name="audio")
student = keras.Model(inputs, keras.layers.Dense(3)(inputs))
teacher = keras.Model(inputs, keras.layers.Dense(3)(inputs))
rows = np.ones((20, 4))
x = {"audio": rows}


class Mine(keras_xkd.distillers.Distiller):
    """A method of a user's."""

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        outputs = self.run("student", x, training)
        return {"student": outputs}, {"mine": outputs["logits"]}, {}


def losses() -> None:
    keras_xkd.losses.SoftTargets(temperature=2, reduction="mean")
    keras_xkd.losses.SoftTargets(kind="softmx")  # type: ignore[arg-type]
    keras_xkd.losses.InfoNCE(temperature="0.1")  # type: ignore[arg-type]
    keras_xkd.losses.InfoNCE(chunk_size=0.5)  # type: ignore[arg-type]
    keras_xkd.losses.info_nce(rows, rows, tau=1)  # type: ignore[call-arg]
    keras_xkd.losses.FeatureMatching(align="attention")
    keras_xkd.losses.FeatureMatching(align="nearest")  # type: ignore[arg-type]
    keras_xkd.losses.Matching("mse", output="logits")
    keras_xkd.losses.Matching(3)  # type: ignore[arg-type]


def metrics() -> None:
    keras_xkd.metrics.SignF1(zero="all")  # type: ignore[arg-type]
    keras_xkd.metrics.RecallAtK(k=1, capacity=8)  # type: ignore[call-arg]
    assert_type(keras_xkd.metrics.recall_at_k(rows, rows), float)


def layers() -> None:
    keras_xkd.layers.Fusion("mean")
    keras_xkd.layers.Fusion("median")  # type: ignore[arg-type]
    keras_xkd.layers.ModalityDropout({"audio": 0.5})
    keras_xkd.layers.TokenPooling(kind="cls")  # type: ignore[arg-type]
    keras_xkd.layers.TemporalPooling(depth="2")  # type: ignore[arg-type]


def distillers(audio: keras_xkd.models.LateFusion) -> None:
    distiller = keras_xkd.distillers.CrossModalDistiller(
        student=student, teacher={"one": teacher, "two": teacher}
    )
    distiller.compile(
        keras.optimizers.Adam(),
        loss="mse",
        distillation_loss={"soft": keras_xkd.losses.SoftTargets()},
        loss_weights={"soft": 0.5},
        metrics=["accuracy"],
    )
    assert_type(distiller.loss_weights, dict[str, float])
    history: keras.callbacks.History = distiller.fit(x, epochs=2)
    del history
    distiller.compile(loss=3)  # type: ignore[arg-type]
    distiller.compile(on_nonfinite="stop")  # type: ignore[arg-type]
    distiller.compile(loss_weights=[1.0])  # type: ignore[arg-type]
    Mine(student=student, teacher=teacher).compile({"student": "adam"})
    Mine(student="student")  # type: ignore[arg-type]
    keras_xkd.distillers.MKE(student=student, teacher=teacher, labels="soft")
    keras_xkd.distillers.MKE(
        student=student,
        teacher=teacher,
        labels="firm",  # type: ignore[arg-type]
    )
    keras_xkd.distillers.AMID(  # type: ignore[call-arg]
        student=student, teacher=teacher
    )
    keras_xkd.distillers.AMID(
        student=student,
        teacher=teacher,
        auxiliary=teacher,
        entropy="exact",  # type: ignore[arg-type]
    )
    keras_xkd.distillers.UMT(student=audio, teachers={"audio": teacher})
    keras_xkd.distillers.UMT(
        student="student",  # type: ignore[arg-type]
        teachers={"audio": teacher},
    )
    keras_xkd.distillers.UME(models=[student])  # type: ignore[arg-type]
    keras_xkd.distillers.VideoAdviser(
        student=student,
        teacher=teacher,
        stages="both",  # type: ignore[arg-type]
        class_values=range(-3, 4),
    )


def callbacks() -> None:
    keras_xkd.callbacks.StudentCheckpoint(pathlib.Path("student.keras"))
    keras_xkd.callbacks.LossWeightSchedule("soft", lambda epoch: 0.1 * epoch)
    keras_xkd.callbacks.LossWeightSchedule("soft", 0.1)  # type: ignore[arg-type]


def models() -> None:
    encoder = keras_xkd.models.image_encoder("preset", trainable=2)
    assert_type(encoder, keras_xkd.models.Encoder)
    keras_xkd.models.text_encoder(student, trainable="last")  # type: ignore[arg-type]
    keras_xkd.models.text_encoder(student, pooling="first")  # type: ignore[arg-type]
    keras_xkd.models.LateFusion({"audio": encoder}, units=3, fusion="sum")
    keras_xkd.models.LateFusion({"audio": encoder}, units="3")  # type: ignore[arg-type]
    keras_xkd.models.LinearProbe(encoder, 3, output_size=8)  # type: ignore[arg-type]


def data() -> None:
    few, labels = keras_xkd.data.few_labels(x, [0, 1], per_class=1)
    assert_type(labels, np.ndarray)
    keras_xkd.data.missing(few, {"audio": 0.5})
    keras_xkd.data.missing(few, 0.5)  # type: ignore[arg-type]
    keras_xkd.data.load("av_mnist", split="train[:80%]", missing={"audio": 0.1})
    keras_xkd.data.load("av_mnist", "image", "train", 32)  # type: ignore[call-arg]
    cached = keras_xkd.data.cache_teacher(teacher, x, pathlib.Path("cache"))
    print(cached["audio"].shape)
    keras_xkd.data.cache_teacher(teacher, x, "cache", dtype="int8")  # type: ignore[arg-type]


def diagnostics() -> None:
    found = keras_xkd.diagnostics.complementarity(rows, rows, [0] * 20)
    assert_type(found.verdict, Literal["help", "not", "unclear"])
    assert_type(found.difference_interval, tuple[float, float])
    keras_xkd.diagnostics.complementarity(
        rows,
        rows,
        rows[:, 0],
        compare="logits",  # type: ignore[arg-type]
    )
    report = keras_xkd.diagnostics.deployment_report({"one": student}, x)
    report.plot(metric="accuracy").set_title("Cost")
    report.plots()  # type: ignore[attr-defined]
    subsets = keras_xkd.diagnostics.modality_subsets(student, x, rows[:, 0])
    print(subsets["audio"]["accuracy"])


def datasets() -> None:
    train, _, _ = keras_xkd.datasets.av_digits.load_data(missing={"audio": 0.5})
    print(train[0]["image"], train[1].shape)
    factors = keras_xkd.datasets.latent_factors.load_data(noise={"a": 0.1})
    assert_type(factors.mutual_information, dict[str, float])
    sound = keras_xkd.datasets.media.read_audio("tone.wav", seconds=0.5)
    sound.max()  # type: ignore[union-attr]


def visualization() -> None:
    figure = keras_xkd.visualization.plot_confusion([0, 1], [0, 1])
    figure.savefig(pathlib.Path("confusion.png"))
    figure.safe("confusion.png")  # type: ignore[attr-defined]
    keras_xkd.visualization.plot_embeddings(rows, method="umap")  # type: ignore[arg-type]
    maps = keras_xkd.visualization.saliency(student, x, modality="audio")
    assert_type(maps, np.ndarray)
    drawn = keras_xkd.visualization.plot_attention(x["image"][0], maps[0])
    drawn.safe("attention.png")  # type: ignore[attr-defined]
    keras_xkd.visualization.saliency(student, x, engine="shap")  # type: ignore[arg-type]
