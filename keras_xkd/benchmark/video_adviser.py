"""VideoAdviser: does a teacher that watches videos help a student that reads?

Data: `keras_xkd.benchmark.opinions`, whose docstring is its definition. 1,500
pairs of video and text, of which 60 have a (noisy) label; 100 more labelled
pairs for validation; 1,000 pairs with the true sentiment for testing.

Student: `RobertaBackbone` with one layer of width 32, mean over the words,
dropout, one linear unit. Teacher: `PromptedCLIP` on a `CLIPBackbone` with one
layer of width 32; random weights, so that its prompts mean nothing at first.

Every row trains the same student from the same initial weights: 8 epochs of
1,920 samples in batches of 32, Adam, and then the weights of the epoch with the
lowest error on the validation set. An epoch of VideoAdviser is 1,440 pairs
without label (NaN) and 8 times the 60 with; that of labels alone 32 times the
60. All terms have their default weight, 1. In two stages the teacher is trained
beforehand, for as many steps. The learning rate is the best of 3e-4, 1e-3 and
3e-3 for the student with 60 labels, by validation on other seeds.
"""

import keras
import numpy as np
from keras import layers

from keras_xkd import metrics
from keras_xkd.benchmark import opinions
from keras_xkd.benchmark import record
from keras_xkd.benchmark import rows
from keras_xkd.benchmark.study import Restart
from keras_xkd.benchmark.study import Study
from keras_xkd.benchmark.table import table
from keras_xkd.data import take
from keras_xkd.distillers import VideoAdviser
from keras_xkd.models import PromptedCLIP
from keras_xkd.models.clip_parts import import_keras_hub
from keras_xkd.utils import select_modalities
from keras_xkd.visualization import canvas
from keras_xkd.visualization import seed_rows

SETTINGS = {
    "parts": {"train": 1500, "validation": 100, "test": 1000},
    "few": 60,
    "repeats": 8,
    "epochs": 8,
    "batch": 32,
    "rate": 1e-3,
}
FEW = {"train": 96, "validation": 32, "test": 64}
QUICK = {"few": 32, "repeats": 2, "epochs": 1, "parts": FEW}

TITLES = {
    "few": "text, 60 noisy labels",
    "joint": "text, advised (joint)",
    "one_step": "text, advised (joint, without step one)",
    "two_stage": "text, advised (two stages)",
    "all": "text, 1,500 labels without noise",
    "joint_teacher": "video, the teacher (joint)",
    "two_stage_teacher": "video, the teacher (two stages)",
}
PAIRS = {
    "joint - 60 labels alone": ("joint", "few"),
    "two stages - 60 labels alone": ("two_stage", "few"),
    "joint - two stages": ("joint", "two_stage"),
    "joint - joint without step one": ("joint", "one_step"),
    "joint - 1,500 labels": ("joint", "all"),
}
CLAIM = {"worse": "holds", "unclear": "unclear", "better": "does not hold"}
MEASURES = {
    "mae": keras.metrics.MeanAbsoluteError,
    "corr": metrics.PearsonCorrelation,
    "acc7": metrics.BinnedAccuracy,
    "acc2": metrics.SignAccuracy,
}


def make_student():
    """A tiny RoBERTa that returns a score."""
    keras_hub = import_keras_hub()
    backbone = keras_hub.models.RobertaBackbone(
        vocabulary_size=opinions.WORDS,
        num_layers=1,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=opinions.LENGTH,
    )
    inputs = {
        name: keras.Input((opinions.LENGTH,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    x = layers.GlobalAveragePooling1D()(backbone(inputs))
    x = layers.Dropout(0.1)(x)
    return keras.Model({"text": inputs}, layers.Dense(1)(x), name="student")


def make_teacher():
    """A tiny `PromptedCLIP` with seven prompts."""
    keras_hub = import_keras_hub()
    size = dict(hidden_dim=32, num_layers=1, num_heads=2, intermediate_dim=64)
    backbone = keras_hub.models.CLIPBackbone(
        keras_hub.models.CLIPVisionEncoder(
            patch_size=8,
            image_shape=(opinions.SIZE, opinions.SIZE, 3),
            **size,
        ),
        keras_hub.models.CLIPTextEncoder(
            vocabulary_size=16, embedding_dim=32, max_sequence_length=4, **size
        ),
        projection_dim=32,
    )
    prompts = [[1, 2 + k, 15] for k in range(7)]  # Start, a word, end.
    return PromptedCLIP(backbone, prompts, num_heads=2)


class Trainer:
    """The compiled models, each trained from new weights for every seed."""

    def __init__(self, settings=SETTINGS):
        self.settings = settings
        teacher = make_teacher()
        self.models = {
            "text": make_student(),
            "joint": VideoAdviser(
                student=make_student(), teacher=make_teacher()
            ),
            "teacher": VideoAdviser(teacher=teacher, stages="teacher"),
            "student": VideoAdviser(
                student=make_student(), teacher=teacher, stages="student"
            ),
        }
        for model in self.models.values():
            model.compile(
                keras.optimizers.Adam(settings["rate"]),
                "mean_absolute_error",
                metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
            )
        self.restarts = {n: Restart(model) for n, model in self.models.items()}
        # What the first `fit` draws to look at its data would change the order
        # of the samples for one seed.
        self._warm_up()

    def one_seed(self, seed):
        """The measures of every row."""
        data = opinions.load(self.settings["parts"], seed)
        few, repeats = self.settings["few"], self.settings["repeats"]
        x, noisy, clean = data["train"]
        own = np.arange(len(clean))
        mixed = np.repeat(own, np.where(own < few, repeats, 1))
        pairs = take(x, mixed), np.where(mixed < few, noisy[mixed], np.nan)

        def texts(number, labels):
            chosen = np.resize(np.arange(number), len(mixed))
            return take({"text": x["text"]}, chosen), labels[chosen]

        def train(name, x, y, teacher=None, **weights):
            keras.utils.set_random_seed(seed)
            model = self.restarts[name](self._fresh(name, teacher))
            for term, weight in weights.items():
                model.set_loss_weight(term, weight)
            self._fit(model, x, y, data["validation"])
            return model

        def test(network):
            x, _, sentiment = data["test"]
            outputs = network(select_modalities(x, network), training=False)
            if isinstance(outputs, dict):
                outputs = outputs["score"]
            return measure(sentiment, outputs)

        found = {"few": test(train("text", *texts(few, noisy)))}
        found["all"] = test(train("text", *texts(len(clean), clean)))
        found["one_step"] = test(train("joint", *pairs, step_one=0.0).student)
        joint = train("joint", *pairs, step_one=1.0)
        found["joint"] = test(joint.student)
        found["joint_teacher"] = test(joint.teacher)
        teacher = train("teacher", *pairs).teacher
        found["two_stage_teacher"] = test(teacher)
        found["two_stage"] = test(train("student", *pairs, teacher).student)
        return found

    def _warm_up(self):
        x, noisy, _ = opinions.load({"any": self.settings["batch"]}, 0)["any"]
        for model in self.models.values():
            model.train_on_batch(_read_by(model, x), noisy)

    def _fresh(self, name, teacher):
        """A new model like `self.models[name]`."""
        if name == "text":
            return make_student()
        student = None if name == "teacher" else make_student()
        return VideoAdviser(
            student=student,
            teacher=teacher or make_teacher(),
            stages=self.models[name].stages,
        )

    def _fit(self, model, x, y, validation):
        x_validation, noisy, _ = validation
        best = keras.callbacks.EarlyStopping(
            "val_mae",
            mode="min",
            patience=self.settings["epochs"],
            restore_best_weights=True,
        )
        model.fit(
            x,
            y,
            batch_size=self.settings["batch"],
            epochs=self.settings["epochs"],
            validation_data=(_read_by(model, x_validation), noisy),
            callbacks=[best],
            verbose=0,
        )


def _read_by(model, x):
    is_adviser = isinstance(model, VideoAdviser)
    return x if is_adviser else select_modalities(x, model)


def measure(sentiment, scores):
    """The measures of predicted scores, a dict."""
    found = {}
    for name, make in MEASURES.items():
        metric = make()
        metric.update_state(sentiment, scores)
        found[name] = float(metric.result())
    return found


def summary(results):
    """The tables, and the paired differences of the errors."""
    values = {
        name: {row: [seed[row][name] for seed in results] for row in TITLES}
        for name in MEASURES
    }
    errors = values["mae"]
    others = [
        [
            title,
            f"{np.mean(values['corr'][row]):.3f}",
            f"{100 * np.mean(values['acc7'][row]):.1f}",
            f"{100 * np.mean(values['acc2'][row]):.1f}",
        ]
        for row, title in TITLES.items()
    ]
    compared, found = rows.differences(errors, PAIRS, "MAE", 3)
    lines = [
        rows.means(errors, TITLES, "MAE", 3),
        compared,
        "The lower the error the better.",
        table(["", "Corr", "Acc-7 (%)", "Acc-2 (%)"], others),
    ]
    verdict = found["joint - 60 labels alone"]["verdict"]
    lines.append(
        "The advised student has a lower error than the same student trained "
        f"on the labels alone: {CLAIM[verdict]} here."
    )
    return "\n\n".join(lines), values, found


def draw(errors, path):
    """The error of every row."""
    figure, axis = canvas.new(size=(8, 4.4))
    teachers = ("joint_teacher", "two_stage_teacher")
    colors = dict.fromkeys(("few", "all"), canvas.GREY)
    colors |= dict.fromkeys(teachers, canvas.ORANGE)
    seed_rows.draw(axis, errors, TITLES, colors, digits=2)
    axis.set_xlabel("mean absolute error of the sentiment (scale -3 to 3)")
    axis.set_title(
        "A text student, advised by a teacher that watches the video\n"
        f"{len(errors['few'])} seeds, mean and 95 % interval",
        fontsize=11,
        loc="left",
    )
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the tables and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `video-adviser.json` and `video-adviser.png`.
        quick: A smoke run with few samples and one epoch.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    import_keras_hub()
    settings = SETTINGS | (QUICK if quick else {})
    study = Study("video-adviser", output, settings, arguments)
    print(f"{len(seeds)} seeds; the first one compiles.", flush=True)
    results = study.measure(seeds, Trainer(settings).one_seed)
    text, values, differences = summary(results)
    print(f"\n{text}\n\n{record.describe()}\n")
    written = study.write(values=values, differences=differences)
    picture = draw(values["mae"], f"{output}/video-adviser.png")
    print(f"Wrote {written} and {picture}")
    return differences
