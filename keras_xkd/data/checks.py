import numpy as np


def check_positive(**arguments):
    """Raises unless all arguments are positive integers."""
    for name, value in arguments.items():
        whole = isinstance(value, (int, np.integer))
        if not whole or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: "
                f"{name}={value!r}"
            )
