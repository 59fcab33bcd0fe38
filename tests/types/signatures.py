"""What the signatures of public objects say.

That it is right is checked by mypy, with the calls in `calls.py`.
"""

import inspect
import typing


def own(obj):
    """Whether the package defines it, apart from the part of a backend."""
    name = f"{obj.__module__}."
    return name.startswith("keras_xkd.") and not name.startswith(
        "keras_xkd.backend."
    )


def functions_of(cls):
    """The constructor, public methods and properties, inherited ones too."""
    for base in filter(own, cls.__mro__):
        for name, value in vars(base).items():
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            parts = [value]
            if isinstance(value, property):
                parts = [value.fget, value.fset]
            for part in parts:
                function = getattr(part, "__func__", part)
                if inspect.isfunction(function):
                    yield f"{base.__name__}.{name}", function


def unhinted(function):
    """The parameters without a hint, and "return" if that has none."""
    signature = inspect.signature(function, follow_wrapped=False)
    left_out = ("self", "cls") if "." in function.__qualname__ else ()
    found = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is parameter.empty and name not in left_out
    ]
    if signature.return_annotation is signature.empty:
        found.append("return")
    return found


def results_of(function):
    """The classes of this package that a function returns."""
    returned = inspect.signature(function).return_annotation
    for part in (returned, *typing.get_args(returned)):
        if inspect.isclass(part) and own(part):
            yield part


def without_hints(obj):
    """`{name: parameters}` of a class, or a function and what it returns."""
    found = []
    if inspect.isclass(obj):
        found += functions_of(obj)
    else:
        found.append((obj.__name__, obj))
        for result in results_of(obj):
            found += functions_of(result)
    missing = {name: unhinted(function) for name, function in found}
    return {name: names for name, names in missing.items() if names}
