"""Which modalities a network reads, and how they are picked from a batch."""

import re

import keras
from keras import ops

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Inputs

# Entries of `x` that describe the samples instead of being a modality.
RESERVED = ("present", "sample_id", "teacher_outputs")

_AUTOMATIC_NAME = re.compile(r"^(keras_tensor|input_layer)(_\d+)?$")


class MissingModalityError(ValueError):
    """A network needs a modality that the data does not have."""


@keras_xkd_export("keras_xkd.utils.select_modalities")
def select_modalities(x: Inputs, model: keras.layers.Layer) -> Inputs:
    """Picks from `x` what `model` reads, and nothing else.

    A Functional model of `{"audio", "video"}` that is fed
    `{"audio", "text", "video"}` reads the text as video, with only a warning.
    This function picks by name, so that one batch can feed several networks
    that read different modalities.

    A network declares its modalities by the top-level keys of its input dict;
    a network with one tensor or a list of tensors by the names of its
    `keras.Input`s; a subclassed network by an attribute such as
    `modalities = ("audio",)`, or by having been built on a dict. What it also
    reads where it is there, it names in an attribute `optional`.

    Example:

    >>> import keras
    >>> inputs = {"audio": keras.Input((2,), name="audio")}
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(inputs["audio"]))
    >>> sorted(select_modalities({"audio": 1, "text": 2}, model))
    ['audio']

    Args:
        x: A dict `{modality: tensor or nested dict}`. For a network with a
            single input also the bare tensor, which is returned as it is.
        model: A Keras layer or model.

    Returns:
        The part of `x` in the structure that `model` expects.

    Raises:
        ValueError: If a modality is missing, or if the network does not say
            what it reads.
    """
    structure = _input_structure(model)
    if isinstance(x, dict):
        picked = _pick(x, structure, model.name)
        return _add_optional(picked, x, model)
    if isinstance(structure, str):
        return x
    if len(structure) == 1:
        names = list(structure)
        return {names[0]: x} if isinstance(structure, dict) else [x]
    if isinstance(x, (list, tuple)) and isinstance(structure, list):
        if len(x) == len(structure):
            return x
    raise ValueError(
        f"'{model.name}' reads several modalities: `x` must be a dict with "
        f"the keys {sorted(structure)}. Received: x of type {type(x).__name__}"
    )


def modalities_of(model):
    """The names of the modalities that a network reads, as a tuple."""
    structure = _input_structure(model)
    return (structure,) if isinstance(structure, str) else tuple(structure)


def by_name(x, main, networks):
    """`x` as a dict where one of `networks`, a dict, could take it for its own.

    A bare tensor is the one modality that the network `main`, if any, reads.
    """
    if isinstance(x, dict) or main is None:
        return x
    own = known_modalities(main)
    others = {known_modalities(network) for network in networks.values()}
    return {own[0]: x} if len(own) == 1 and others != {own} else x


def known_modalities(model):
    """`modalities_of`, but none where a network does not name them."""
    try:
        return modalities_of(model)
    except ValueError:
        return ()


def optional_of(model):
    """The names of what a network reads only where `x` has it."""
    return tuple(getattr(model, "optional", ()))


def zero_absent(x):
    """Zeroes the samples of a modality that `x["present"]` marks as absent.

    Whatever fills the place of an absent sample, NaN included, then reaches
    neither a value nor a gradient.
    """
    if not isinstance(x, dict) or "present" not in x:
        return x
    masks = x["present"]
    named = sorted(masks) if isinstance(masks, dict) else type(masks).__name__
    if not isinstance(masks, dict) or set(named) - set(x):
        raise ValueError(
            "`x['present']` must be a dict `{modality: mask}` of modalities "
            f"of `x`. Received: {named}, while `x` has {_modalities(x)}"
        )
    _check_masks(masks)
    # Keras takes arrays, and it takes tensors, but not both in one dict.
    x = keras.tree.map_structure(ops.convert_to_tensor, x)
    for name, mask in x["present"].items():
        x[name] = keras.tree.map_structure(
            lambda value, mask=mask: _where_present(mask, value), x[name]
        )
    return x


def presence(x, model):
    """Which samples a network can answer, shape `(batch,)`, or None for all.

    A network that reads `present` itself copes with absent modalities and
    needs only one of them; any other network needs them all. One that has a
    method `presence` says it itself.
    """
    if hasattr(model, "presence"):
        return model.presence(x)
    if not isinstance(x, dict) or "present" not in x:
        return None
    names = [*modalities_of(model), *(n for n in optional_of(model) if n in x)]
    masks = {n: x["present"][n] for n in names if n in x["present"]}
    _check_masks(masks)
    masks = [ops.cast(ops.reshape(m, (-1,)), "float32") for m in masks.values()]
    others = set(names) - set(x["present"]) - set(RESERVED)
    if not masks or ("present" in names and others):
        return None
    extreme = ops.max if "present" in names else ops.min
    return extreme(ops.stack(masks), axis=0)


def both(one, other):
    """The samples that two masks have in common; None means all samples."""
    if one is None or other is None:
        return other if one is None else one
    return one * other


def has_modalities(x, model):
    """Whether `x` holds all that a network reads."""
    try:
        select_modalities(x, model)
    except MissingModalityError:
        return False
    return True


def check_not_empty(x):
    """Raises for a data set that is known to hold no batch."""
    if isinstance(x, (dict, list, tuple)) or hasattr(x, "shape"):
        shapes = [getattr(v, "shape", ()) for v in keras.tree.flatten(x)]
        empty = any(len(shape) and shape[0] == 0 for shape in shapes)
    elif hasattr(x, "cardinality"):
        empty = int(x.cardinality()) == 0
    else:
        try:
            empty = len(x) == 0
        except TypeError:
            empty = False
    if empty:
        raise ValueError("The data set is empty: it has not a single batch.")


def check_batch(x, y=None, sample_weight=None):
    """Raises unless all leaves of a batch have the same number of samples."""
    sizes = {}
    parts = x if isinstance(x, dict) else {"x": x}
    for name, part in {**parts, "y": y, "sample_weight": sample_weight}.items():
        for leaf in keras.tree.flatten(part):
            shape = getattr(leaf, "shape", ())
            if len(shape) and shape[0] is not None:
                sizes.setdefault(int(shape[0]), name)
    if len(sizes) > 1:
        found = ", ".join(f"'{name}': {size}" for size, name in sizes.items())
        raise ValueError(
            "All modalities, labels and weights of a batch must have the same "
            f"number of samples. Received: {found}"
        )


def _check_masks(masks):
    """Raises unless masks have one entry per sample, as far as is known."""
    for name, mask in masks.items():
        shape = getattr(mask, "shape", None)
        wrong = shape is not None and any(n not in (1, None) for n in shape[1:])
        if mask is None or wrong:
            raise ValueError(
                f"`x['present']['{name}']` must have one entry per sample, "
                f"shape `(batch,)`. Received: shape {shape and tuple(shape)}"
            )


def _where_present(mask, value):
    shape = (-1,) + (1,) * (len(value.shape) - 1)
    mask = ops.reshape(ops.cast(mask, "bool"), shape)
    return ops.where(mask, value, ops.zeros_like(value))


def _modalities(x):
    return sorted(set(x) - set(RESERVED))


def _add_optional(picked, x, model):
    extra = {name: x[name] for name in optional_of(model) if name in x}
    if not extra:
        return picked
    picked = {**picked, **extra}
    if isinstance(extra.get("present"), dict):
        picked["present"] = {
            n: m for n, m in x["present"].items() if n in picked
        }
    return picked


def _input_structure(model):
    """The nested names of a network's inputs: a str, a list or a dict."""
    built_on = _built_on(model)
    declared = getattr(model, "modalities", None)
    if declared is not None:
        names = [declared] if isinstance(declared, str) else list(declared)
        if isinstance(built_on, str):  # It expects the bare tensor.
            return names[0]
        known = built_on if isinstance(built_on, dict) else {}
        return {name: known.get(name) for name in names}
    if not built_on or (isinstance(built_on, list) and not all(built_on)):
        raise ValueError(
            f"It is unknown which modalities '{model.name}' (of type "
            f"{type(model).__name__}) reads. Name its inputs, as in "
            '`keras.Input(shape, name="audio")`, or give a subclassed network '
            'an attribute such as `modalities = ("audio",)`.'
        )
    return built_on


def _built_on(model):
    """What a network was built on, with names in the place of tensors.

    The name of a tensor that was named automatically is the empty string.
    """
    if isinstance(model, keras.Sequential):
        return _name(model.inputs[0]) if model.built else None
    if hasattr(model, "operations"):  # Functional
        inputs = model.input
        if isinstance(inputs, (list, tuple)):
            return [_name(tensor) for tensor in inputs]
        if isinstance(inputs, dict):
            return keras.tree.map_structure(lambda t: t.name, inputs)
        return _name(inputs)
    shapes = list((model.get_build_config() or {}).values())
    if not shapes:
        return None
    if isinstance(shapes[0], dict):
        return dict.fromkeys(shapes[0])
    return ""


def _name(tensor):
    return "" if _AUTOMATIC_NAME.match(tensor.name) else tensor.name


def _pick(x, structure, owner):
    if isinstance(structure, str):
        return _get(x, structure, [structure], owner)
    if isinstance(structure, list):
        return [_get(x, name, structure, owner) for name in structure]
    picked = {}
    for key, inner in structure.items():
        value = _get(x, key, structure, owner)
        nested = isinstance(inner, dict) and isinstance(value, dict)
        picked[key] = _pick(value, inner, f"{owner}.{key}") if nested else value
    return picked


def _get(x, name, needed, owner):
    if name not in x:
        raise MissingModalityError(
            f"'{owner}' needs {sorted(needed)}: '{name}' is missing. "
            f"Received: {_modalities(x)}"
        )
    return x[name]
