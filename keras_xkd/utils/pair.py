"""One comparison between a teacher and a student."""

import keras
from keras import ops

from keras_xkd.backend import by_replica
from keras_xkd.backend import replica_total
from keras_xkd.losses.comparison import Comparison
from keras_xkd.losses.matching import Matching
from keras_xkd.utils.outputs import get_output
from keras_xkd.utils.replicas import gather_all
from keras_xkd.utils.replicas import undivided
from keras_xkd.utils.replicas import value_of
from keras_xkd.utils.terms import masked_weight


class Pair:
    """Compares one output of two networks, after projections if there are any.

    Args:
        comparison: The loss.
        projection: A layer for the student's output, or None.
        teacher_projection: A layer for the teacher's output, or None.
        companion: The layer that stands in for the loss, or None; see
            `Comparison.companion`.
    """

    def __init__(
        self,
        comparison,
        projection=None,
        teacher_projection=None,
        companion=None,
    ):
        self.comparison = comparison
        self.projection = projection
        self.teacher_projection = teacher_projection
        self.companion = companion

    @property
    def projections(self):
        return [self.projection, self.teacher_projection]

    def __call__(self, teacher, student, y, mask, sample_weight, x, training):
        """The term, or None where labels that it needs are absent."""
        name = self.comparison.output
        teacher = get_output(teacher, name, "teacher")
        student = get_output(student, name, "student")
        if self.projection is not None:
            student = self.projection(student)
        if self.teacher_projection is not None:
            teacher = self.teacher_projection(teacher)
        weight = masked_weight(sample_weight, mask, self.comparison.reduction)
        if self.companion is not None:
            sample_id = x.get("sample_id") if isinstance(x, dict) else None
            return self._remember(
                teacher, student, sample_id, mask, weight, training
            )
        context = {}
        if "labels" in self.comparison.needs:
            if y is None and not training:
                return None
            if y is None:
                raise ValueError(
                    f"{type(self.comparison).__name__} needs labels, and this "
                    "data has none. Pass `y`, or choose another loss."
                )
            context["labels"] = y
        if mask is not None and "mask" in self.comparison.needs:
            context["mask"] = mask
        if self.comparison.couples and not self.comparison.across_replicas:
            return self._apart(teacher, student, weight, context)
        return value_of(
            self.comparison,
            teacher,
            student,
            weight,
            coupled=self.comparison.couples,
            **context,
        )

    def _apart(self, teacher, student, weight, context):
        """The term with the samples of every replica by themselves."""
        values = by_replica(
            lambda given: self.comparison.call(*given[:2], **given[2]),
            (teacher, student, context),
        )
        return value_of(_Reduce(self.comparison), values, values, weight)

    def _remember(self, teacher, student, sample_id, mask, weight, training):
        """The term of a companion, which sees the samples of all replicas."""
        rows = {"teacher": teacher, "student": student}
        further = {"sample_id": sample_id, "present": mask, "weight": weight}
        rows |= {k: v for k, v in further.items() if v is not None}
        rows = gather_all(rows)
        weight = rows.pop("weight", None)
        values = self.companion(**rows, training=training)
        return undivided(_Reduce(self.comparison), values, values, weight)

    def with_information(
        self, teacher, student, y, mask, sample_weight, x, training
    ):
        """The term, and the bound of the information that it implies.

        The bound is in nats; None if the loss implies none. It counts every
        sample alike.
        """
        arguments = (teacher, student, y, mask)
        term = self(*arguments, sample_weight, x, training)
        if self.companion is not None:
            return term, None
        plain = term
        if sample_weight is not None:
            plain = self(*arguments, None, x, training)
        rows = ops.shape(keras.tree.flatten(student)[0])[0]
        size = ops.cast(rows, "float32") if mask is None else ops.sum(mask)
        if self.comparison.across_replicas:
            (size,) = replica_total(size)
        if self.comparison.reduction == "sum":
            plain = plain / ops.maximum(size, 1.0)
        if not self.comparison.across_replicas:
            size = _near(ops.ones((rows,)) if mask is None else mask)
        return term, self.comparison.information(plain, size)


def _near(mask):
    """How many samples of its replica each is compared with, on average.

    The mean is the geometric one, for a bound that has the logarithm.
    """
    mask = ops.cast(mask, "float32")
    sizes = by_replica(lambda own: ops.full_like(own, ops.sum(own)), mask)
    logs = ops.sum(mask * ops.log(ops.maximum(sizes, 1.0)))
    return ops.exp(logs / ops.maximum(ops.sum(mask), 1.0))


def resolve_comparisons(distillation_loss):
    """A dict `{term: Comparison}` from what `compile` was given."""
    if distillation_loss is None:
        return {}
    if isinstance(distillation_loss, (list, tuple)):
        raise ValueError(
            "Several losses need names: pass a dict `{term: loss}`. "
            f"Received: distillation_loss={distillation_loss}"
        )
    if not isinstance(distillation_loss, dict):
        distillation_loss = {"distillation": distillation_loss}
    if "task" in distillation_loss:
        raise ValueError(
            "The term 'task' is the compiled `loss`. Give the entry of "
            "`distillation_loss` another name. Received: "
            f"distillation_loss={distillation_loss}"
        )
    for loss in distillation_loss.values():
        if isinstance(loss, type):
            raise ValueError(
                f"`distillation_loss` takes a loss, not its class: pass "
                f"`{loss.__name__}()`."
            )
    return {
        term: loss if isinstance(loss, Comparison) else Matching(loss)
        for term, loss in distillation_loss.items()
    }


def resolve_contrasts(distillation_loss, terms):
    """A dict with a comparison for each of `terms`, from one for all or each.

    Args:
        distillation_loss: What `compile` was given.
        terms: Names of the terms.
    """
    given = resolve_comparisons(distillation_loss)
    if set(given) == {"distillation"}:
        return dict.fromkeys(terms, given["distillation"])
    if set(given) != set(terms):
        raise ValueError(
            "`distillation_loss` must be one loss, or a dict with the keys "
            f"{sorted(terms)}. Received: {sorted(given)}"
        )
    return given


def connect(
    comparison, readout, teacher, student, projections, keep, heads=None
):
    """Returns the `Pair` of a loss and two networks, or says what is wrong.

    Args:
        comparison: The loss.
        readout: The `Outputs` of the distiller.
        teacher: The teacher.
        student: The student.
        projections: A dict `{output: layer}` for the student.
        keep: A function that takes the loss's companion, if it has one, and
            returns the layer to use.
        heads: A dict `{output: layer}` for the teacher.
    """
    output = comparison.output
    for network in (student, teacher):
        readout.require(network, output)
        if output == "logits":
            readout.check_logits(network)
    shapes = [readout.shape(n, output) for n in (teacher, student)]
    return pair_of(comparison, shapes, teacher.name, projections, keep, heads)


def pair_of(comparison, shapes, teacher, projections, keep, heads=None):
    """The `Pair` of a loss and two outputs of which the shapes are known.

    Args:
        comparison: The loss.
        shapes: The shapes of the teacher's and of the student's output, None
            where it is not known.
        teacher: Name of the teacher.
        projections, keep, heads: See `connect`.
    """
    output = comparison.output
    if type(comparison).companion is not Comparison.companion:
        if None in shapes:
            raise ValueError(
                f"{type(comparison).__name__} learns weights and must know "
                f"the shapes of '{output}' beforehand. Use Functional or "
                "Sequential networks."
            )
        companion = comparison.companion(*shapes)
        if companion is not None and not comparison.across_replicas:
            raise ValueError(
                f"The memory of {type(comparison).__name__} holds the samples "
                "of all devices. Received: across_replicas=False"
            )
        if companion is not None:
            return Pair(comparison, companion=keep(companion))
    layers = [None, None]
    if comparison.same_width:
        layers = [(heads or {}).get(output), projections.get(output)]
    shapes = [
        layer.compute_output_shape(shape) if layer and shape else shape
        for layer, shape in zip(layers, shapes, strict=True)
    ]
    width, other = (shape[-1] if shape else None for shape in shapes)
    if comparison.same_width and width and other and width != other:
        advice = (
            "Both must have the same classes in the same order."
            if output == "logits"
            else 'Use `projections="auto"`, or give a layer for it.'
        )
        raise ValueError(
            f"{type(comparison).__name__} compares '{output}' of width "
            f"{other} of the student with width {width} of the teacher "
            f"'{teacher}'. {advice}"
        )
    return Pair(comparison, layers[1], layers[0])


class _Reduce(keras.losses.Loss):
    """The reduction of another loss, for values that are already computed."""

    def __init__(self, loss):
        super().__init__(name=loss.name, reduction=loss.reduction)

    def call(self, y_true, y_pred):
        return y_pred
