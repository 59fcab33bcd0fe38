from typing import Any

from keras_xkd.distillers.distiller import Distiller
from keras_xkd.typing import Labels, LossLike, Mask, Optimizer, Players

_OF_STUDENT = ("step_two", "task")
_OF_TEACHER = ("step_one", "teacher_class", "teacher_score")
# By stage: the main role, who learns by which terms, who does not learn.
_STAGES: dict[str, tuple[str, Players, tuple[str, ...]]] = {
    "joint": ("student", {"student": _OF_STUDENT, "teacher": _OF_TEACHER}, ()),
    "teacher": ("teacher", {"teacher": _OF_TEACHER}, ("student",)),
    "student": ("student", {"student": _OF_STUDENT}, ("teacher",)),
}


def check_stages(stages):
    """Raises unless there is such a stage."""
    if stages not in _STAGES:
        raise ValueError(
            f"`stages` must be one of {list(_STAGES)}. "
            f"Received: stages={stages!r}"
        )


class Advising(Distiller):
    """What its `stages` and its `scale` decide for `VideoAdviser`."""

    @property
    def main(self) -> str:  # type: ignore[override]
        return _STAGES[self.stages][0]

    @property
    def players(self) -> Players:  # type: ignore[override]
        return _STAGES[self.stages][1]

    @property
    def frozen(self) -> tuple[str, ...]:  # type: ignore[override]
        return _STAGES[self.stages][2]

    def labels(self, y: Labels) -> tuple[Labels, Mask]:
        return self.scale.labels(y)

    def compile(  # type: ignore[override]  # Further ones by name.
        self,
        optimizer: Optimizer | dict[str, Optimizer] = "rmsprop",
        loss: LossLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().compile(optimizer, loss or self.scale.loss, **kwargs)
