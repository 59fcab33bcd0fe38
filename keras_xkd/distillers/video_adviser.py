import functools
import types
from collections.abc import Sequence
from typing import Any
from typing import Literal

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.advising import Advising
from keras_xkd.distillers.advising import check_stages
from keras_xkd.typing import Labels, Losses, Modalities, StepResult, Weights
from keras_xkd.utils.modalities import both
from keras_xkd.utils.modalities import has_modalities
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.score_pair import score_pairs
from keras_xkd.utils.score_scale import ScoreScale


@keras_xkd_export("keras_xkd.distillers.VideoAdviser")
class VideoAdviser(Advising):
    """A teacher that watches the video advises a student that reads the text.

    | term | formula | trains | needs labels |
    |---|---|---|---|
    | `teacher_class` | cross-entropy of `l` and the class of `y` | teacher | yes |
    | `teacher_score` | `abs(r_T - y)` | teacher | yes |
    | `step_one` | `abs(r_T - sg(E))` | teacher | no |
    | `step_two` | `abs(r_S - sg(r_T))` | student | no |
    | `task` | `abs(r_S - y)` | student | yes |

    `l` are the teacher's logits, `E = sum_k softmax(l)_k value_k`, `r_T` and
    `r_S` the scores; `sg` stops the gradient. The paper states steps and
    networks; distances, weights (all 1) and the class of `y`, that of the
    nearest value, are this package's choice.

    `x` is what both read, `y` one label per sample; those without, NaN, leave
    the terms that need one, their means, and the metrics. `loss` is the
    distance to labels, by default the mean absolute error; `distillation_loss`
    that of both steps, or a dict `{step: loss}`. The joint stage has the players
    `"student"`, of which `loss` is the total, and `"teacher"`.

    Categories (`class_values=None`), for retrieval, are our adaptation: scores
    are logits `(batch, K)`, labels class indices, -1 or NaN for none
    (`data.hide_labels`), distances `SoftTargets(temperature=1)`, and `step_one`
    compares the teacher's categorical head with `l`. The mAP is
    `keras_xkd.metrics.retrieval_map` of the softmax of both networks' scores.

    Example:

    >>> import keras, numpy as np
    >>> from keras_xkd.distillers import VideoAdviser
    >>> text = keras.Input((4,), name="text")
    >>> video = keras.Input((6,), name="video")
    >>> logits, score = [keras.layers.Dense(n)(video) for n in (7, 1)]
    >>> distiller = VideoAdviser(
    ...     student=keras.Model(text, keras.layers.Dense(1)(text)),
    ...     teacher=keras.Model(video, {"logits": logits, "score": score}),
    ...     class_values=range(-3, 4),
    ... )
    >>> distiller.compile("adam")
    >>> x = {"text": np.ones((3, 4)), "video": np.ones((3, 6))}
    >>> history = distiller.fit(x, np.array([-1.2, 2, np.nan]), verbose=0)
    >>> distiller.predict({"text": np.ones((2, 4))}, verbose=0).shape
    (2, 1)

    Args:
        student: A network that returns a score, `(batch, 1)` or `(batch,)`,
            or a dict with `"score"`. Not needed in the stage "teacher".
        teacher: A network that returns `"logits"` `(batch, K)` and `"score"`,
            such as `keras_xkd.models.PromptedCLIP`.
        stages: `"joint"`: both train. Or first `"teacher"`: the teacher alone,
            which then predicts, and after it `"student"`: it is frozen.
        class_values: The values of the K classes, None for categories; by
            default `teacher.class_values`.
        **kwargs: `name` and `dtype`.

    Raises:
        ValueError: If class values are unknown, not K or do not rise, if scores
            or labels are not one per sample or not logits, or a step's loss
            needs labels.

    Reference: [Wang et al., 2023](https://arxiv.org/abs/2309.15494)
    """  # noqa: E501

    def __init__(
        self,
        *,
        teacher: keras.layers.Layer,
        student: keras.layers.Layer | None = None,
        stages: Literal["joint", "teacher", "student"] = "joint",
        class_values: Sequence[float] | Literal["teacher"] | None = "teacher",
        **kwargs: Any,
    ) -> None:
        check_stages(stages)
        self.stages = stages
        super().__init__(student=student, teacher=teacher, **kwargs)
        self.scale = ScoreScale(class_values, teacher)

    def compute_losses(
        self, x: Modalities, y: Labels, sample_weight: Weights, training: bool
    ) -> StepResult:
        y, labelled = self.labels(y)
        outputs: dict[str, Any] = {}
        terms: dict[str, Any] = {}
        if self.main == "student":
            own = self.run("student", x, training)
            outputs["student"] = score = self.scale.score(own, "student")
            reads = presence(x, self.student)
            mask = both(reads, labelled)
            terms |= self.task_terms(y, score, sample_weight, mask=mask)
        if not training and not has_modalities(x, self.teacher):
            return outputs, terms, {}  # A test set for the student alone.
        learns = "teacher" not in self.frozen
        run = functools.partial(self.run, training=training)
        own = (run if learns else self.ask)("teacher", x)
        outputs["teacher"] = target = self.scale.score(own, "teacher")
        seen = presence(x, self.teacher)
        if learns:
            terms |= self._teacher_terms(
                own, target, y, sample_weight, seen, labelled
            )
        if self.main == "student":
            step, mask = self.plan.pairs["step_two"], both(reads, seen)
            terms["step_two"] = step(target, score, mask, sample_weight)
        return outputs, terms, {}

    def _teacher_terms(self, own, score, y, sample_weight, seen, labelled):
        logits, mask = self.scale.logits(own), both(seen, labelled)
        terms = self.scale.class_term(y, logits, sample_weight, mask)
        name, step = "teacher_score", self.plan.pairs["step_one"]
        terms |= self.task_terms(y, score, sample_weight, name, mask)
        expected = self.scale.expected(logits)
        terms["step_one"] = step(expected, score, seen, sample_weight)
        return terms

    def prepare(
        self, task_loss: keras.losses.Loss | None, distillation_loss: Losses
    ) -> types.SimpleNamespace:
        self.scale.check_heads(self.readout, self.teacher, self.student)
        terms = [term for own in self.players.values() for term in own or ()]
        steps = [term for term in terms if term.startswith("step")]
        pairs = score_pairs(distillation_loss, self.scale.distance, steps)
        weights = dict.fromkeys(terms, 1.0)
        return types.SimpleNamespace(weights=weights, pairs=pairs)

    def get_config(self) -> dict[str, Any]:
        own = {"stages": self.stages, "class_values": self.scale.as_list()}
        return {**super().get_config(), **own}
