"""The contrasts between networks that all learn."""

import functools

from keras_xkd.losses.info_nce import InfoNCE
from keras_xkd.utils.pair import connect
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


def contrast_pairs(distiller, terms, losses):
    """`{term: pair}`: the contrasts of the teacher with the other roles.

    Args:
        distiller: An `AMID`.
        terms: A dict `{role: term}`.
        losses: A dict `{term: loss}`.
    """
    heads = distiller.projections
    return {
        term: connect(
            losses[term],
            distiller.readout,
            distiller.teacher,
            distiller.named[role],
            {"features": heads[role]},
            functools.partial(distiller.keep_companion, term),
            {"features": heads[f"teacher_of_{role}"]},
        )
        for role, term in terms.items()
    }
