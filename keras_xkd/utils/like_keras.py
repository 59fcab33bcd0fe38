import functools
from collections.abc import Callable
from typing import Any
from typing import TypeVar

T = TypeVar("T")


def like_keras(method: Any) -> Callable[[T], T]:
    """Documents a method as Keras does; checkers see its own hints.

    Its signature is that of Keras for `help` and `inspect`.
    """
    decorator: Any = functools.wraps(method, assigned=("__doc__",))
    return decorator
