"""Who reads what, who learns and by which terms, at any time."""

import logging

import keras
import pytest

from keras_xkd.distillers import UME
from keras_xkd.distillers import CrossModalDistiller
from keras_xkd.losses import FeatureMatching
from keras_xkd.losses import SoftTargets
from tests.distiller_case import classifier
from tests.distiller_case import make_data
from tests.distillers.two_players import make_two_players
from tests.distributed import problems


def summary_of(model, width=110, **kwargs):
    texts = []
    model.summary(line_length=width, print_fn=texts.append, **kwargs)
    return "\n".join(texts)


def rows_of(text):
    """The words of every line, by the first two of them."""
    return [line.split() for line in text.splitlines() if line.strip()]


def make():
    return CrossModalDistiller(
        student=classifier("audio", 4, hidden=7),
        teacher={"image": classifier("image", 6, name="net")},
        name="mine",
    )


def test_before_and_after_compile():
    distiller = make()
    text = summary_of(distiller)
    rows = rows_of(text)
    assert rows[0] == ["CrossModalDistiller:", '"mine"']
    # 4 * 7 + 7 + 7 * 3 + 3 and 6 * 5 + 5 + 5 * 3 + 3; 7 * 5 + 5.
    assert ["student", "Functional", "audio", "59", "59", "student"] in rows
    assert ["image", "Functional", "image", "53", "frozen", "-"] in rows
    line = "projection (image, features) Dense 40 after compile -".split()
    assert line in rows
    assert "known after `compile`" in text
    distiller.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.5, 9)),
        "sparse_categorical_crossentropy",
        {"kd": SoftTargets(), "features": FeatureMatching()},
        loss_weights={"kd": 2},
    )
    text = summary_of(distiller)
    rows = rows_of(text)
    line = "projection (image, features) Dense 40 40 student".split()
    assert line in rows
    assert "Parameters: 152 in all, 99 of them trained." in text
    assert "The student has 59." in text
    task = ["task", "sparse_categorical_crossentropy", "0.1", "student"]
    assert task in rows
    assert ["kd", "SoftTargets", "of", "logits", "2", "student"] in rows
    line = ["features", "FeatureMatching", "of", "features", "0.45", "student"]
    assert line in rows
    line = ["student", "Adam", "0.5", "now,", "CosineDecay", "99"]
    assert line in rows
    # The projection is not used, and nobody compares labels.
    distiller.compile("sgd")
    text = summary_of(distiller)
    rows = rows_of(text)
    assert "Dense 40 not used -".split() == next(
        row[-5:] for row in rows if row[0] == "projection"
    )
    assert "no `loss`: left out" in text
    assert "of them trained" in text and "59 of them" in text


def test_two_players_and_terms_of_the_first_batch():
    distiller = make_two_players()
    assert "critic" in summary_of(distiller)
    distiller.compile(
        {"student": "sgd", "critic": keras.optimizers.Adam(0.125)},
        "sparse_categorical_crossentropy",
        loss_weights={"fool": 0.3},
    )
    text = summary_of(distiller)
    rows = rows_of(text)
    assert ["critic", "Functional", "logits", "31", "31", "critic"] in rows
    assert ["fool", "-", "0.3", "student"] in rows
    assert ["critic", "-", "1", "critic"] in rows
    assert "known after the first batch" in text
    assert ["critic", "Adam", "0.125", "31"] in rows
    assert ["student", "SGD", "0.01", "43"] in rows
    x, y = make_data(audio=4)
    distiller.evaluate(x, y, verbose=0)
    text = summary_of(distiller)
    assert "first batch" not in text
    assert text.count("sparse_categorical_crossentropy") == 1
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    assert summary_of(distiller).count("SGD, shared") == 2


EXPECTED = {
    "amid": ["projection (teacher_of_student)", "InfoNCE of features"],
    "umt": ["LateFusion", "audio_distillation", "audio, image, (present)"],
    "mke": ["pseudo_label", "audio, image"],
    "video_adviser": ["step_two", "mean_absolute_error of score"],
    "cmd_queue": ["memory (distillation)", "SimilarityQueue", "projector"],
    "pretraining": ["contrast", "NTXent of features", "encoder"],
    "own_method": ["Spread", "known after the first batch"],
    "embedded_clipped": ["sample_id"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_method_at_every_width(name):
    distiller = problems.make(name)
    text = summary_of(distiller)
    for words in EXPECTED[name]:
        assert words in text
    for width in (40, 80, 120):
        lines = summary_of(distiller, width).splitlines()
        assert max(map(len, lines)) <= width
    for term, weight in distiller.loss_weights.items():
        assert any(
            row[0] == term and f"{weight:g}" in row for row in rows_of(text)
        )


def test_ensemble():
    models = {m: classifier(m, 4) for m in ("audio", "image")}
    text = summary_of(UME(models=models))
    assert ["audio", "Functional", "audio", "43", "0", "-"] in rows_of(text)
    assert "86 in all, 0 of them trained" in text


def test_as_keras_does(capsys):
    distiller = make()
    distiller.summary()
    assert '"mine"' in capsys.readouterr().out
    # What asks for layers gets Keras' table too.
    text = summary_of(distiller, expand_nested=True)
    assert "hidden (Dense)" in text and "Total params" in text
    assert "hidden" not in summary_of(distiller)


def test_into_the_log_where_there_is_no_terminal(caplog):
    keras.config.disable_interactive_logging()
    try:
        logger = logging.getLogger("absl")
        logger.propagate, before = True, logger.propagate
        with caplog.at_level(logging.INFO, logger="absl"):
            make().summary()
        logger.propagate = before
    finally:
        keras.config.enable_interactive_logging()
    assert '"mine"' in caplog.text
