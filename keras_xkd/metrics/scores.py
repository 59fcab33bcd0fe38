"""One true and one predicted number per sample, as the field's metrics ask."""

from keras import ops


def read(y_true, y_pred, sample_weight=None):
    """The scores and weights in float32, each of shape `(batch,)`.

    What stands in samples of weight 0, be it NaN, becomes 0.
    """
    y_true, y_pred = (
        ops.convert_to_tensor(y_true),
        ops.convert_to_tensor(y_pred),
    )
    for tensor in (y_true, y_pred):
        if len(tensor.shape) != 1 and tuple(tensor.shape[1:]) != (1,):
            raise ValueError(
                "Expected one score per sample, shape `(batch,)` or `(batch, "
                f"1)`. Received: y_true of shape {tuple(y_true.shape)}, "
                f"y_pred of shape {tuple(y_pred.shape)}"
            )
    y_true, y_pred = _flat(y_true), _flat(y_pred)
    weight = ops.ones_like(y_true)
    if sample_weight is not None:
        weight = _flat(ops.convert_to_tensor(sample_weight))
        if weight.shape[0] == 1:
            weight = weight * ops.ones_like(y_true)
    sizes = [tensor.shape[0] for tensor in (y_true, y_pred, weight)]
    if len({size for size in sizes if size is not None}) > 1:
        raise ValueError(
            "Expected as many true as predicted scores, and weights. Received: "
            f"{sizes[0]} true scores, {sizes[1]} predicted, {sizes[2]} weights"
        )
    counts = weight > 0
    zeros = ops.zeros_like(y_true)
    return (
        ops.where(counts, y_true, zeros),
        ops.where(counts, y_pred, zeros),
        weight,
    )


def _flat(x):
    return ops.reshape(ops.cast(x, "float32"), (-1,))


def check_zero(zero):
    """Raises unless `zero` is one of the field's two conventions."""
    if zero not in ("included", "excluded"):
        raise ValueError(
            f"`zero` must be 'included' or 'excluded'. Received: {zero!r}"
        )


def signs(y_true, y_pred, weight, zero):
    """Whether true and predicted scores are positive, and their weights."""
    if zero == "included":
        return y_true >= 0, y_pred >= 0, weight
    kept = ops.cast(ops.not_equal(y_true, 0), weight.dtype)
    return y_true > 0, y_pred > 0, weight * kept
