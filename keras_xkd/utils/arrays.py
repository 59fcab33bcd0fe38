import numpy as np
from keras import ops


def to_array(x):
    """An array from an array, a list, or a tensor of any type and gradient."""
    return np.asarray(ops.convert_to_numpy(x) if ops.is_tensor(x) else x)
