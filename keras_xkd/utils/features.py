"""Features of encoders, and the heads in which they are contrasted."""

import functools
import types

from keras import ops

from keras_xkd.backend import padding_of
from keras_xkd.layers.projection_head import ProjectionHead
from keras_xkd.utils.outputs import Outputs
from keras_xkd.utils.pair import pair_of
from keras_xkd.utils.pair import resolve_comparisons


def features_of(outputs, network):
    """The features of an encoder: its one output, or that of this name."""
    if "features" in outputs:
        return outputs["features"]
    if len(outputs) > 1:
        raise ValueError(
            f"An encoder returns features: one tensor, or a dict with the key "
            f"'features'. '{network.name}' returns {sorted(outputs)}"
        )
    return next(iter(outputs.values()))


def pooled(features):
    """Rows `(batch, width)`: the mean over positions, padded ones left out."""
    rank = len(features.shape)
    if rank < 2:
        raise ValueError(
            "Expected features of shape `(batch, ..., width)`. "
            f"Received: shape {tuple(features.shape)}"
        )
    if rank == 2:
        return features
    axes = tuple(range(1, rank - 1))
    padding = padding_of(features)
    features = ops.cast(features, "float32")
    if padding is None:
        return ops.mean(features, axis=axes)
    weights = ops.cast(padding, "float32")[..., None]
    count = ops.maximum(ops.sum(weights, axis=axes), 1.0)
    return ops.sum(features * weights, axis=axes) / count


def features_shape(network):
    """The shape of an encoder's features, None if it is not known."""
    readout = Outputs()
    shape = readout.shape(network, "features")
    return readout.shape(network, "logits") if shape is None else shape


def pooled_shape(network, projector=None):
    """The shape of pooled features, or of their embeddings; None if unknown."""
    shape = features_shape(network)
    if shape is None:
        return None
    shape = (shape[0], shape[-1])
    return shape if projector is None else projector.compute_output_shape(shape)


def make_projector(projector, network, units, name="projector"):
    """A built head: the one given, or two layers that end in `units`.

    Args:
        projector: A layer, or None.
        network: The encoder.
        units: Width of the embeddings, None if that is not known.
        name: Name of the head that is made.
    """
    if projector is not None and projector.built:
        return projector
    shape = pooled_shape(network)
    if shape is None or shape[-1] is None or units is None:
        raise ValueError(
            f"The width of the features of '{network.name}' is not known. "
            "Pass a projector that is built, or call the encoders once on "
            "data."
        )
    if projector is None:
        projector = ProjectionHead(units, hidden=shape[-1], name=name)
    projector.build(shape)
    return projector


def check_unlabelled(model, y):
    """Raises if there are labels, or metrics, which would need some."""
    if model.role_metrics.names:
        raise ValueError(
            f"{type(model).__name__} learns without labels, so metrics have "
            "nothing to compare. Measure a `keras_xkd.models.LinearProbe`. "
            f"Received: the metrics {model.role_metrics.names}"
        )
    if y is not None:
        raise ValueError(
            f"{type(model).__name__} learns without labels and would ignore "
            "them: call `fit(x)` without `y`. Labels belong to "
            "`keras_xkd.models.LinearProbe`."
        )


def check_no_task(model, task_loss):
    """Raises if `compile` got a loss of labels."""
    if task_loss is not None:
        raise ValueError(
            f"{type(model).__name__} learns without labels, so `loss` has "
            "nothing to compare. Its objective is `distillation_loss`. "
            f"Received: loss={task_loss.name}"
        )


def plan_for_embeddings(model, losses, shapes, source):
    """The plan of `Distiller.prepare` for losses between two embeddings.

    Args:
        model: The distiller.
        losses: A loss or a dict `{term: loss}`.
        shapes: Shapes of the embeddings, or None.
        source: Name of the network whose embeddings are the targets.
    """
    pairs = {}
    for term, loss in resolve_comparisons(losses).items():
        if loss.output != "features" or "labels" in loss.needs:
            raise ValueError(
                f"{type(model).__name__} compares embeddings, without labels. "
                "Expected a loss of 'features', such as InfoNCE. Received: "
                f"{type(loss).__name__} of '{loss.output}', which needs "
                f"{list(loss.needs)}"
            )
        target, own = (shape[-1] if shape else None for shape in shapes)
        if loss.same_width and target and own and target != own:
            raise ValueError(
                f"{type(loss).__name__} compares embeddings of one width: pass "
                "a `projector` that ends in that of the teacher. Received: "
                f"width {own} of the student, {target} of '{source}'"
            )
        keep = functools.partial(model.keep_companion, term)
        pairs[term] = pair_of(loss, shapes, source, {}, keep)
    weights = dict.fromkeys(pairs, 1.0)
    return types.SimpleNamespace(weights=weights, pairs=pairs)
