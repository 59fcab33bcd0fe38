import tensorflow as tf


def as_dataset(epochs, open_axes):
    """`Epochs` as a `tf.data.Dataset`, with the shapes of its batches.

    Args:
        epochs: `keras_xkd.data.epochs.Epochs`.
        open_axes: Modalities whose second axis differs between batches.
    """
    batches = epochs.make_batches(0)
    first = batches[0]
    second = batches[1] if len(batches) > 1 else first
    with_labels = isinstance(first, tuple)
    if not with_labels:
        first, second = (first,), (second,)
    signature = ({k: _specs(v, second[0][k]) for k, v in first[0].items()},)
    for name in open_axes:
        signature[0][name] = tf.nest.map_structure(_open, signature[0][name])
    signature += tuple(_specs(a, b) for a, b in zip(first[1:], second[1:]))
    dataset = tf.data.Dataset.from_generator(
        lambda: epochs,
        output_signature=signature if with_labels else signature[0],
    )
    size = tf.data.experimental.assert_cardinality(len(epochs))
    return dataset.apply(size).prefetch(tf.data.AUTOTUNE)


def _specs(one, other):
    """What two batches have in common; the first axis is the batch."""
    if isinstance(one, dict):
        return {key: _specs(one[key], other[key]) for key in one}
    shape = [n if n == m else None for n, m in zip(one.shape, other.shape)]
    dtype = tf.string if one.dtype == object else one.dtype
    return tf.TensorSpec([None, *shape[1:]], dtype)


def _open(spec):
    if spec.shape.rank < 2:
        return spec
    return tf.TensorSpec([None, None, *spec.shape[2:]], spec.dtype)
