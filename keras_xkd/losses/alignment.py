"""Brings a student's positions to those of the teacher, without weights."""

from keras import ops

from keras_xkd.losses import checks
from keras_xkd.losses.numerics import NEVER
from keras_xkd.losses.numerics import safe_divide


def align(teacher, student, how=None, padding=None):
    """Makes teacher and student comparable position by position.

    Args:
        teacher: Tensor of shape `(batch, positions..., features)`.
        student: The same with positions of its own.
        how: `None`, `"interpolate"` or `"attention"`.
        padding: 1 for the student's positions that count, of shape
            `(batch, positions...)`.

    Returns:
        `(teacher, student, weights)`, the first two of the same shape;
        `weights` of the teacher's positions, or `None` where all count alike.
    """
    if how not in (None, "interpolate", "attention"):
        raise ValueError(
            "`align` must be None, 'interpolate' or 'attention'. "
            f"Received: {how}"
        )
    received = checks.shapes(teacher, student)
    t, s = tuple(teacher.shape), tuple(student.shape)
    if min(len(t), len(s)) < 2 or not checks.same_size(t[0], s[0]):
        raise ValueError(
            "Expected inputs of shape `(batch, ..., features)` with the same "
            f"batch. {received}"
        )
    if not checks.same_size(t[-1], s[-1]):
        raise ValueError(
            "Teacher and student must have the same number of features; "
            f"`projections` of a distiller bring them to one width. {received}"
        )
    if how == "attention" and min(len(t), len(s)) > 2:
        return attend(teacher, student, padding)
    if len(t) != len(s):
        raise ValueError(
            "Teacher and student must have the same number of axes, so that "
            f"positions correspond. {received}"
        )
    if how == "interpolate":
        return (teacher, *interpolate(student, teacher, padding))
    if not all(map(checks.same_size, t[1:-1], s[1:-1])):
        raise ValueError(
            "Teacher and student have different positions (tokens or grid); "
            f"pass `align='interpolate'` or `'attention'`. {received}"
        )
    return teacher, student, padding


def interpolate(student, teacher, padding=None):
    """Linear along every axis between batch and features.

    Centres of positions correspond, as in bilinear `keras.ops.image.resize`.
    Padded positions count for nothing: the others share their weight.
    """
    axes = range(1, len(student.shape) - 1)
    if padding is None:
        for axis in axes:
            student = _resample(student, axis, _size(teacher, axis))
        return student, None
    weights = ops.cast(padding, student.dtype)
    while len(weights.shape) < len(student.shape):
        weights = ops.expand_dims(weights, -1)
    shape = ops.shape(student)
    weights = ops.broadcast_to(weights, (*shape[:-1], 1))
    student = ops.where(weights > 0, student, ops.zeros_like(student))
    for axis in axes:
        student = _resample(student, axis, _size(teacher, axis))
        weights = _resample(weights, axis, _size(teacher, axis))
    return safe_divide(student, weights), ops.squeeze(weights, -1)


def attend(teacher, student, padding=None):
    """Each teacher token gathers student tokens: `softmax(t s'/sqrt(D)) s`.

    Grids are flattened. A sample without any student token has weight 0.
    """
    width = student.shape[-1]
    batch = ops.shape(student)[0]
    teacher = ops.reshape(teacher, (batch, -1, width))
    student = ops.reshape(student, (batch, -1, width))
    weights = None
    if padding is not None:
        valid = ops.cast(ops.reshape(padding, (batch, -1)), student.dtype)
        student = ops.where(valid[:, :, None] > 0, student, 0.0)
        some = ops.max(valid, axis=1, keepdims=True)
        weights = some * ops.ones_like(teacher[:, :, 0])
    scores = ops.matmul(teacher, ops.transpose(student, (0, 2, 1)))
    scores = scores / width**0.5
    if padding is not None:
        scores = ops.where(valid[:, None, :] > 0, scores, NEVER)
    # Not `ops.softmax`, which warns where there is one token.
    scores = scores - ops.logsumexp(scores, axis=-1, keepdims=True)
    return teacher, ops.matmul(ops.exp(scores), student), weights


def _size(x, axis):
    return ops.shape(x)[axis]


def _resample(x, axis, size):
    source = _size(x, axis)
    if isinstance(source, int) and isinstance(size, int) and source == size:
        return x
    old = ops.cast(ops.arange(source), x.dtype)
    new = ops.cast(ops.arange(size), x.dtype)
    scale = ops.cast(source, x.dtype) / ops.cast(size, x.dtype)
    centres = ops.clip((new + 0.5) * scale - 0.5, 0, old[-1])
    matrix = ops.relu(1 - ops.absolute(centres[:, None] - old[None]))
    x = ops.tensordot(x, matrix, axes=[[axis], [1]])
    return ops.moveaxis(x, -1, axis)
