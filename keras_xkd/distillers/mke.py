import functools
import types
from typing import Any
from typing import Literal

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.distiller import Distiller
from keras_xkd.typing import Labels, Losses, Modalities, StepResult, Weights
from keras_xkd.utils import pseudo_labels
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.outputs import prediction
from keras_xkd.utils.pair import connect
from keras_xkd.utils.perturbing import Perturbation
from keras_xkd.utils.perturbing import Perturbing
from keras_xkd.utils.symbolic import check_roles


@keras_xkd_export("keras_xkd.distillers.MKE")
class MKE(Distiller):
    """Multimodal Knowledge Expansion: more modalities, without labels.

    A frozen teacher of one modality labels multimodal data; the student learns
    from these pseudo-labels, on perturbed inputs. The perturbation *is* the
    method: without it the student copies its teacher (99 % agreement on two
    moons). Where a few samples have labels and all modalities, training on
    these alone may be worth more.

    `x` holds what teacher and student read, `fit` takes no `y`. Validation
    data and `evaluate` take real labels: `val_accuracy` is accuracy. The share
    of predictions that are those of the pseudo-labels is called `agreement`.

    | term | weight | symbol | meaning |
    |---|---|---|---|
    | `pseudo_label` | 1 | L_pl | `loss`, against the teacher on clean inputs |
    | `consistency` | 1 | L_reg | `distillation_loss`, off by default |
    | `task` | 1 | | in evaluation: `loss` against real labels |

    The authors' code trains by L_pl alone, with hard labels, on perturbed
    inputs. Our choice: soft labels, gamma 1, and that `consistency` compares
    the student with itself on clean inputs, as a constant.

    The name of `loss` says what pseudo-labels are: `sparse_categorical_...`
    (the default) class numbers, `categorical_...` one-hot rows, `binary_...`
    yes or no for each logit. Logits `(batch, height, width, classes)` are a
    segmentation: Keras' image layers, such as `RandomFlip("horizontal")`, move
    images and pseudo-labels alike (`fill_mode="constant"` adds a false class).

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import MKE
    >>> from keras_xkd.layers import ScaledGaussianNoise, SpecAugment
    >>> audio = keras.Input((20, 8), name="audio")
    >>> image = keras.Input((6,), name="image")
    >>> joined = keras.layers.Concatenate()([keras.ops.mean(audio, 1), image])
    >>> student = keras.Model([audio, image], keras.layers.Dense(3)(joined))
    >>> teacher = keras.Model(image, keras.layers.Dense(3)(image))
    >>> noise = {"audio": SpecAugment(), "image": ScaledGaussianNoise()}
    >>> distiller = MKE(student=student, teacher=teacher, perturbation=noise)
    >>> distiller.compile("adam")
    >>> x = {"audio": np.ones((8, 20, 8)), "image": np.ones((8, 6))}
    >>> sorted(distiller.fit(x, verbose=0).history)
    ['agreement', 'loss', 'pseudo_label_loss']

    Args:
        student: The network to train.
        teacher: The frozen network that labels.
        perturbation: A layer or callable for every modality of the student, a
            dict `{modality: layer or callable}`, or a list, applied one after
            the other. Image layers by themselves move all images alike; what
            has an attribute `joint = True` (`ModalityDropout`) gets a dict.
        labels: `"hard"`, or `"soft"` for the teacher's probabilities.
        **kwargs: `name` and `dtype`.

    Raises:
        ValueError: If `fit` gets labels or no modality of the teacher, the
            loss is no cross-entropy, logits differ in number, or pseudo-labels
            cannot move along with their images.

    Reference: [Xue et al., 2021](https://arxiv.org/abs/2103.14431)
    """

    default_loss = "sparse_categorical_crossentropy"

    def __init__(
        self,
        *,
        student: keras.layers.Layer,
        teacher: keras.layers.Layer,
        perturbation: Perturbation | None = None,
        labels: Literal["hard", "soft"] = "hard",
        **kwargs: Any,
    ) -> None:
        check_roles({"student": student, "teacher": teacher})
        super().__init__(student=student, teacher=teacher, **kwargs)
        pseudo_labels.check_hardness(labels)
        self.perturb = Perturbing(perturbation, student)
        self.perturbation = perturbation
        self.hardness = labels

    def targets(self, x: Modalities, y: Labels) -> Labels:
        pseudo_labels.check_unlabelled(y)
        logits = prediction(self.ask("teacher", x))
        return pseudo_labels.of_logits(logits, self.plan.kind, self.hardness)

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        if not training and y is not None:
            return self._against_labels(x, y, sample_weight)
        plan = self.plan
        mask = both(presence(x, self.student), presence(x, self.teacher))
        if training:
            clean = self.ask("student", x) if plan.pairs else {}
            x, y, clean = self.perturb(x, y, clean, plan)
        else:
            y = self.targets(x, None)
        student = self.run("student", x, training)
        terms = self.task_terms(
            y, student, sample_weight, "pseudo_label", mask, plan.loss
        )
        for term, pair in plan.pairs.items() if training else ():
            terms[term] = pair(
                clean, student, y, mask, sample_weight, x, training
            )
        share = pseudo_labels.agreement(y, prediction(student), plan.kind, mask)
        return {"student": student}, terms, {"agreement": share}

    def _against_labels(self, x, y, sample_weight):
        roles = {"student", *self.role_metrics.roles}
        outputs = {role: self.run(role, x, training=False) for role in roles}
        mask = presence(x, self.student)
        terms = self.task_terms(y, outputs["student"], sample_weight, mask=mask)
        return outputs, terms, {}

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        loss, kind = pseudo_labels.loss_for(task_loss, self.hardness)
        readout, student = self.readout, self.student
        pseudo_labels.check_classes(readout, self.teacher, student, kind)
        comparisons = pseudo_labels.consistency_terms(distillation_loss)
        pairs = {}
        for term, own in comparisons.items():
            keep = functools.partial(self.keep_companion, term)
            pairs[term] = connect(own, readout, student, student, {}, keep)
        weights = dict.fromkeys(["pseudo_label", *pairs, "task"], 1.0)
        plan = dict(weights=weights, pairs=pairs, loss=loss, kind=kind)
        return types.SimpleNamespace(**plan)

    def idle_layers(self) -> list[keras.layers.Layer]:
        return [*super().idle_layers(), *self.perturb.layers]

    def get_config(self) -> dict[str, Any]:
        given = {"perturbation": self.perturbation, "labels": self.hardness}
        given = keras.saving.serialize_keras_object(given)
        return {**super().get_config(), **given}
