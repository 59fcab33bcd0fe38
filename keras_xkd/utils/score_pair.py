"""Distances between two scores."""

from keras import ops

from keras_xkd.losses.comparison import Comparison
from keras_xkd.utils.pair import Pair
from keras_xkd.utils.pair import resolve_comparisons


class ScorePair(Pair):
    """The distance of a score from a target, through which no gradient goes.

    Both are dicts `{"score": tensor}`.
    """

    def __call__(self, target, score, mask, sample_weight):
        name = self.comparison.output
        return super().__call__(
            {name: ops.stop_gradient(target["score"])},
            {name: score["score"]},
            y=None,
            mask=mask,
            sample_weight=sample_weight,
            x=None,
            training=True,
        )


def score_pairs(distillation_loss, default, steps):
    """A dict `{step: ScorePair}` from what `compile` was given.

    Args:
        distillation_loss: One loss for all steps, a dict `{step: loss}`, or
            None.
        default: The loss of the steps that get none.
        steps: Names of the steps.
    """
    given = resolve_comparisons(distillation_loss)
    if "distillation" in given:
        given = dict.fromkeys(steps, given["distillation"])
    unknown = sorted(set(given) - set(steps))
    if unknown:
        raise ValueError(
            f"`distillation_loss` must be one loss or a dict with the keys "
            f"{list(steps)}. Received: the keys {sorted(given)}"
        )
    for loss in given.values():
        learns = type(loss).companion is not Comparison.companion
        if learns or "labels" in loss.needs:
            raise ValueError(
                "The steps compare one score with another, without labels and "
                f"without weights. Received: {type(loss).__name__}"
            )
    return {step: ScorePair(given.get(step, default)) for step in steps}
