"""An extension of Griffe, which reads the package for the reference.

It gives each public object its public place, whatever file it lives in, and its
docstring the form of `site_docstrings`.
"""

import ast
import pathlib
import sys

import griffe

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import site_docstrings

DECORATOR = "keras_xkd_export("


def walk(parent):
    for member in parent.members.values():
        if not member.is_alias:
            yield member
            if member.is_module or member.is_class:
                yield from walk(member)


def public_name(obj) -> str | None:
    """What `@keras_xkd_export(...)` says of an object."""
    for decorator in getattr(obj, "decorators", ()):
        value = str(decorator.value)
        if value.startswith(DECORATOR):
            return ast.literal_eval(value[len(DECORATOR) : -1])
    return None


def find_public(package) -> dict[str, griffe.Object]:
    """`{public name: object}` of the package as it was read, sorted."""
    found = {public_name(obj): obj for obj in walk(package)}
    return {name: found[name] for name in sorted(n for n in found if n)}


def public_objects(package) -> dict[str, griffe.Object]:
    """`{public name: object}` of the package after `PublicNames`."""
    return package.extra["keras_xkd"]["public"]


def place(package, name, obj):
    """Lets `package` find `obj` by its public name."""
    *path, last = name.split(".")[1:]
    parent = package
    for part in path:
        parent = parent.members[part]
    if parent is not obj.parent:
        parent.members[last] = griffe.Alias(last, obj, parent=parent)


def links(names) -> dict[str, str]:
    """What text may call a public object: `Name`, `area.name`, or in full."""
    found = {}
    for name in names:
        parts = name.split(".")
        for start in range(len(parts)):
            short = ".".join(parts[start:])
            word = "." in short or not short.islower() or "_" in short
            if word:  # `load` and `take` by themselves are other things too.
                found[short] = None if short in found else name
                found[f"xkd.{short}"] = found[short]
    return {short: name for short, name in found.items() if name}


class PublicNames(griffe.Extension):
    def on_package(self, *, pkg, **kwargs):
        objects = find_public(pkg)
        pkg.extra["keras_xkd"]["public"] = objects
        for obj in [pkg, *walk(pkg)]:
            if obj.docstring:
                obj.docstring.value = site_docstrings.to_markdown(
                    obj.docstring.value, links(objects)
                )
        for name, obj in objects.items():
            place(pkg, name, obj)
