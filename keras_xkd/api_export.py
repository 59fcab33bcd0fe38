"""One decorator that gives an object its public name.

Keras serialises objects by registered name. Registering every public class
and function here, with its public path, keeps saved files independent of the
folder in which the code happens to live.
"""

from collections.abc import Callable
from typing import Any
from typing import TypeVar

import keras

T = TypeVar("T")

PUBLIC: dict[str, Any] = {}


def keras_xkd_export(path: str) -> Callable[[T], T]:
    """Registers a class or function under its public path.

    Args:
        path: The full public name, such as `"keras_xkd.losses.InfoNCE"`.

    Returns:
        A decorator that records the object in `PUBLIC` and, for classes and
        functions that Keras may serialise, registers it with Keras.
    """

    def decorator(obj: T) -> T:
        PUBLIC[path] = obj
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            return obj  # Such as a callback, which Keras does not serialise.
        # Functions such as `load_data` share a name: theirs is the path.
        name = None
        if not isinstance(obj, type):
            name = path.removeprefix("keras_xkd.")
        return keras.saving.register_keras_serializable("keras_xkd", name)(obj)

    return decorator
