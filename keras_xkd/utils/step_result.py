"""What a method returned: mistakes are named where they are made."""

from collections.abc import Mapping

import keras


def checked(result, roles=()):
    """Returns outputs, terms and logs, or says what is wrong with them.

    Args:
        result: What `compute_losses` returned.
        roles: The roles whose predictions must be there, for metrics.
    """
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise ValueError(
            "`compute_losses` must return three dicts: the outputs by role, "
            "the terms by name, and further logs by name, which may be empty. "
            f"Received: {_kind(result)}"
        )
    for what, part in zip(("outputs", "terms", "logs"), result, strict=True):
        if not isinstance(part, Mapping):
            raise ValueError(
                f"The {what} that `compute_losses` returns must be a dict, "
                f"which may be empty. Received: {_kind(part)}"
            )
    outputs, terms, logs = result
    for role, own in outputs.items():
        if not isinstance(own, Mapping):
            raise ValueError(
                f"The outputs of '{role}' must be a dict of tensors, as `run` "
                f"and `ask` return them. Received: {_kind(own)}"
            )
    for what, part in (("term", terms), ("log", logs)):
        for name, value in part.items():
            if not isinstance(value, (int, float)) and not hasattr(
                value, "shape"
            ):
                raise ValueError(
                    f"The {what} '{name}' must be a tensor or a number. "
                    f"Received: {_kind(value)}"
                )
    silent = sorted(set(roles) - set(outputs))
    if silent:
        raise ValueError(
            f"There are metrics of {silent}, but `compute_losses` returned "
            f"the outputs of {sorted(outputs)}: return theirs too, or compile "
            "without these metrics."
        )
    return outputs, terms, logs


def checked_labels(result):
    """Returns what `labels` returned, or says what is wrong with it."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ValueError(
            "`labels` must return two things: the labels, and which samples "
            f"have one, or None for all. Received: {_kind(result)}"
        )
    y, mask = result
    if mask is not None and _is_mask(y) and not _is_mask(mask):
        raise ValueError(
            "`labels` must return the labels first, and then which samples "
            "have one, shape `(batch,)`. Received: a mask first, and then "
            f"a tensor of {mask.dtype}"
        )
    return y, mask


def _is_mask(value):
    if not hasattr(value, "dtype"):  # Several labels, in a dict.
        return False
    return keras.backend.standardize_dtype(value.dtype) == "bool"


def _kind(value):
    if isinstance(value, (tuple, list)):
        kinds = ", ".join(type(part).__name__ for part in value)
        return f"a {type(value).__name__} of {len(value)}: {kinds}"
    return f"{type(value).__name__}"
