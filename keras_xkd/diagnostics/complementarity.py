import dataclasses
from typing import Literal

from numpy.typing import ArrayLike

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.diagnostics import halves
from keras_xkd.diagnostics.mutual_information import label_information
from keras_xkd.diagnostics.mutual_information import pair_values
from keras_xkd.typing import Classifier, Critic, Interval

WORDS = {
    "help": "distillation is expected to help",
    "not": "distillation is not expected to help",
    "unclear": "unclear whether distillation helps",
}
CAUTION = (
    "This compares all that the features share, relevant or not, which did not "
    "tell help from harm where it was measured. See `compare`."
)


@dataclasses.dataclass(frozen=True)
class Complementarity:
    """The result of `complementarity`; `print` says it in words."""

    teacher_student: float
    teacher_student_interval: Interval
    student_labels: float
    student_labels_interval: Interval
    difference: float
    difference_interval: Interval
    verdict: Literal["help", "not", "unclear"]
    compare: Literal["decisions", "features"]
    confidence: float

    def __str__(self) -> str:
        sign = {"help": ">", "not": "<"}.get(self.verdict, "against")
        low, high = self.difference_interval
        text = (
            f"{WORDS[self.verdict]}: {self.teacher_student:.2f} {sign} "
            f"{self.student_labels:.2f} nats. Teacher and student share "
            f"{_range(self.teacher_student_interval)} nats, the student knows "
            f"{_range(self.student_labels_interval)} nats of the labels, the "
            f"difference is {low:+.2f} to {high:+.2f} "
            f"({100 * self.confidence:g} % intervals)."
        )
        if self.compare == "features":
            text = f"{text} {CAUTION}"
        return text

    __repr__ = __str__


@keras_xkd_export("keras_xkd.diagnostics.complementarity")
def complementarity(
    teacher: ArrayLike,
    student: ArrayLike,
    labels: ArrayLike,
    compare: Literal["decisions", "features"] = "decisions",
    classifier: Classifier = "linear",
    critic: Critic = "gaussian",
    confidence: float = 0.95,
    seed: int = 0,
) -> Complementarity:
    """Is a student expected to gain from a teacher with another modality?

    The complementarity hypothesis (Xie et al., 2025) says that distillation
    across modalities helps when `I(H_T; H_S) > I(H_S; Y)`: the representations
    of teacher and student have more in common than the student's tells about
    the labels. Train both networks on labels alone, and pass what they give for
    pairs that neither was trained on. Every label is a class: leave out samples
    without one (-1 of `data.hide_labels`).

    Taken literally, the inequality has a right side of at most `log(classes)`
    and a left side without limit, for features that share a single dimension
    without noise. `compare="decisions"`, our reading and the default, takes
    from both only what decides the label: the log-odds of a linear classifier
    on the features, trained on one half and applied to the other.

    What we measured (`python -m keras_xkd benchmark complementarity`, linear
    classifiers, 22 problems): the literal inequality says "help" on every
    problem whose views share anything, also where distillation harms. With
    decisions, the mean over seeds never contradicted the gain: where both were
    significant they had the same sign. Close to balance the verdict of a single
    sample goes either way, and the gain is small. This is evidence for problems
    of this kind, not a theorem: both sides are lower bounds, and the gain also
    depends on the weight of the distillation term.

    Args:
        teacher: Features or logits of the teacher, shape `(N, features)`.
        student: Those of the student, shape `(N, features)`.
        labels: Labels of the pairs, shape `(N,)`.
        compare: `"decisions"`, or `"features"` for the literal inequality.
        classifier: What reads the labels from features, see
            `modality_distance`; linear by default, as the last layer of most
            networks.
        critic: See `mutual_information`.
        confidence: Coverage of the intervals.
        seed: Seed of the halves.

    Returns:
        An object with the fields

        - `teacher_student`, `student_labels`: both sides in nats, not below 0;
        - `difference`: the left minus the right side;
        - `teacher_student_interval` and so on: pairs `(low, high)`;
        - `verdict`: `"help"` or `"not"` if the interval of the difference
          leaves out 0, else `"unclear"`.

    Raises:
        ValueError: If the arrays do not fit together, have fewer than 20 rows
            or are not finite, or a class has a single sample.

    Example:

    >>> from keras_xkd.datasets import correlated_gaussians
    >>> from keras_xkd.diagnostics import complementarity
    >>> for gamma in (0.0, 1.0):
    ...     _, (x, y) = correlated_gaussians.load_data(gamma)
    ...     print(complementarity(x["teacher"], x["student"], y).verdict)
    not
    help

    Reference:

    - [Xie et al., 2025](https://arxiv.org/abs/2510.13182). The paper compares
      representations; comparing decisions, the estimates and the verdict are
      ours.
    """
    if compare not in ("decisions", "features"):
        raise ValueError(
            "`compare` must be 'decisions' or 'features'. "
            f"Received: {compare!r}"
        )
    halves.check_confidence(confidence)
    teacher, student = halves.check_features(teacher=teacher, student=student)
    right, ceiling, log_odds = label_information(
        student, labels, classifier, seed
    )
    if compare == "decisions":
        student = log_odds
        teacher = label_information(teacher, labels, classifier, seed)[2]
    left, limit = pair_values(teacher, student, critic, seed)
    shared, shared_interval = halves.mean_interval(left, confidence, 0.0, limit)
    known, known_interval = halves.mean_interval(
        right, confidence, 0.0, ceiling
    )
    mean, (low, high) = halves.mean_interval(left - right, confidence)
    return Complementarity(
        teacher_student=shared,
        teacher_student_interval=shared_interval,
        student_labels=known,
        student_labels_interval=known_interval,
        difference=mean,
        difference_interval=(low, high),
        verdict="help" if low > 0 else "not" if high < 0 else "unclear",
        compare=compare,
        confidence=confidence,
    )


def _range(interval):
    return f"{interval[0]:.2f} to {interval[1]:.2f}"
