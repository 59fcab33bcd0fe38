from keras.src.backend.common.masking import get_keras_mask


def padding_of(tensor):
    """The Keras mask of a tensor, 1 for what counts; None without one.

    Inside a step traced by JAX tensors take no attributes: Keras then keeps
    the mask elsewhere, and has no public function that finds it.
    """
    return get_keras_mask(tensor)
