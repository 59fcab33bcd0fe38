"""Checks of arguments that several losses share."""

from keras import ops


def check_temperature(*temperatures):
    """Raises unless all temperatures are positive."""
    for temperature in temperatures:
        if temperature <= 0:
            raise ValueError(
                f"`temperature` must be positive. Received: {temperature}"
            )


def check_choice(name, value, choices):
    """Raises unless a value is one of several."""
    if value not in choices:
        known = " or ".join(map(repr, choices))
        raise ValueError(f"`{name}` must be {known}. Received: {value}")


def check_memory(
    samples, queue, embedding_dim, temperature, momentum, negatives
):
    """Raises unless the arguments of a contrastive memory are in range."""
    if samples is not None and queue is not None:
        raise ValueError(
            "Give `samples` (a bank) or `queue`, not both. "
            f"Received: samples={samples}, queue={queue}"
        )
    sizes = (samples or 1, queue or 1, embedding_dim, negatives)
    if min(sizes) < 1 or 0 in (samples, queue):
        raise ValueError(
            "`samples`, `queue`, `embedding_dim` and `negatives` must be "
            f"positive. Received: {samples}, {queue}, {embedding_dim}, "
            f"{negatives}"
        )
    # The normalizer is a float32: exp(1 / 0.02) is 5e21.
    if temperature < 0.02:
        raise ValueError(
            f"`temperature` must be 0.02 or more. Received: {temperature}"
        )
    if not 0 <= momentum < 1:
        raise ValueError(f"`momentum` must be in [0, 1). Received: {momentum}")


def same_size(a, b):
    """Whether two static sizes can be equal; `None` is any size."""
    return a is None or b is None or a == b


def shapes(teacher, student):
    """The two shapes, in words, for messages of errors."""
    return (
        f"Received: teacher of shape {tuple(teacher.shape)}, "
        f"student of shape {tuple(student.shape)}"
    )


def check_same_shape(teacher, student):
    """Raises unless both have the same shape of rank two or more."""
    if len(teacher.shape) < 2 or len(student.shape) < 2:
        raise ValueError(
            "Expected a batch axis and at least one more axis. "
            + shapes(teacher, student)
        )
    if len(teacher.shape) != len(student.shape) or not all(
        map(same_size, teacher.shape, student.shape)
    ):
        raise ValueError(
            "Teacher and student must have the same shape. "
            + shapes(teacher, student)
        )


def check_rows(teacher, student, same_width=False):
    """Raises unless both are `(batch, features)` of the same batch."""
    if len(teacher.shape) != 2 or len(student.shape) != 2:
        raise ValueError(
            "Expected inputs of shape `(batch, features)`; pool other axes "
            "first. " + shapes(teacher, student)
        )
    if not same_size(teacher.shape[0], student.shape[0]):
        raise ValueError(
            "Teacher and student must have the same number of rows. "
            + shapes(teacher, student)
        )
    if same_width and not same_size(teacher.shape[1], student.shape[1]):
        raise ValueError(
            "Teacher and student must have the same number of features; "
            "`projections` of a distiller bring them to one width. "
            + shapes(teacher, student)
        )


def class_indices(labels, teacher, student):
    """Class indices of shape `(batch, 1)` from sparse or one-hot labels."""
    labels = ops.convert_to_tensor(labels)
    classes = student.shape[-1]
    if classes < 2:
        raise ValueError(
            f"Expected two or more classes. {shapes(teacher, student)}"
        )
    if len(labels.shape) == 2 and labels.shape[1] == classes:
        return ops.cast(ops.argmax(labels, axis=1)[:, None], "int32")
    if len(labels.shape) == 1 or tuple(labels.shape[1:]) == (1,):
        return ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    raise ValueError(
        "Expected labels of shape `(batch,)`, `(batch, 1)` or `(batch, "
        f"classes)`. Received: labels of shape {tuple(labels.shape)}. "
        + shapes(teacher, student)
    )
