"""The contrasts between networks that all learn."""

from keras_xkd.losses.info_nce import InfoNCE
from keras_xkd.utils.pair import resolve_contrasts


def mutual_contrasts(distillation_loss, terms):
    """A dict with a loss for each of `terms`; each trains both networks.

    Args:
        distillation_loss: What `compile` was given; by default `InfoNCE`.
        terms: Names of the terms.
    """
    losses = resolve_contrasts(distillation_loss or InfoNCE(), terms)
    for loss in losses.values():
        if not loss.moves_teacher:
            raise ValueError(
                "The contrasts of AMID train the teacher, and "
                f"{type(loss).__name__} has no gradient into it. Use "
                "`InfoNCE` or `ContrastiveRepresentation`."
            )
    return losses
