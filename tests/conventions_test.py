"""Rules that hold for every file of the package, read from its source."""

import ast
import importlib
import inspect
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import textwrap

import pytest

import keras_xkd
from keras_xkd import api_export
from tests.types import signatures

PACKAGE = pathlib.Path(keras_xkd.__file__).parent
GOLDEN = pathlib.Path(__file__).parent / "golden" / "public_api.txt"

FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}
OPTIONAL = {
    "PIL",
    "av",
    "keras_hub",
    "matplotlib",
    "safetensors",
    "scipy",
    "sklearn",
    "tensorflow_datasets",
    "tf_keras_vis",
}
FILES = sorted(PACKAGE.rglob("*.py"))
IN_BACKEND = [f for f in FILES if PACKAGE / "backend" in f.parents]
OUTSIDE_BACKEND = [f for f in FILES if f not in IN_BACKEND]
# All modules but those that belong to one backend.
MODULES = [
    m.name
    for m in pkgutil.walk_packages([str(PACKAGE)], "keras_xkd.")
    if not m.name.startswith("keras_xkd.backend.")
    and not m.name.endswith("__main__")
]

for module in MODULES:
    importlib.import_module(module)

PUBLIC = {
    path: obj
    for path, obj in sorted(api_export.PUBLIC.items())
    if obj.__module__.startswith("keras_xkd.")
}


def name_of(path):
    return str(path.relative_to(PACKAGE.parent))


def at_module_level(node):
    """The nodes that run on import: no functions, nothing for checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        ):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child):
            continue
        yield child
        yield from at_module_level(child)


def imported(nodes):
    """The full names that the import statements among `nodes` refer to."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(path):
    """The packages that a file imports when it is imported."""
    nodes = at_module_level(ast.parse(path.read_text()))
    return {name.split(".")[0] for name in imported(nodes)}


# Builders are subclasses of those of tensorflow-datasets, so their modules are
# imported by `keras_xkd.datasets` when somebody asks for one.
BUILDERS = [
    path
    for path in sorted((PACKAGE / "datasets").glob("*.py"))
    if "tensorflow_datasets" in imported_packages(path)
]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_at_module_level(path):
    found = imported_packages(path)
    forbidden = OPTIONAL if path in IN_BACKEND else OPTIONAL | FRAMEWORKS
    if path in BUILDERS:
        forbidden = forbidden - {"tensorflow_datasets"}
    assert not found & forbidden, (
        f"{name_of(path)} imports {sorted(found & forbidden)} at module "
        "level. Frameworks belong into keras_xkd/backend, optional packages "
        "into the function that needs them."
    )


@pytest.mark.parametrize("path", OUTSIDE_BACKEND, ids=name_of)
def test_no_private_keras(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    private = [n for n in imported(nodes) if f"{n}.".startswith("keras.src.")]
    private += [
        f"keras.src, line {node.lineno}"
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr == "src"
        and isinstance(node.value, ast.Name)
        and node.value.id == "keras"
    ]
    assert not private


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_size(path):
    base_class = PACKAGE / "distillers" / "distiller.py"
    limits = {PACKAGE / "losses": 120, PACKAGE / "distillers": 160}
    limit = 300 if path == base_class else limits.get(path.parent, 300)
    lines = len(path.read_text().splitlines())
    assert lines <= limit, f"{name_of(path)}: {lines} lines, limit {limit}"


def run_python(code):
    """The JSON that `code` prints last, run in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_import_changes_nothing():
    builders = {f"keras_xkd.datasets.{path.stem}" for path in BUILDERS}
    on_use = builders | {"keras_xkd.data.epochs"}  # Grain adds a log handler.
    modules = [m for m in MODULES if m not in on_use]
    changes = run_python(
        f"""
        import importlib, json, logging, os, sys, warnings
        import keras
        import numpy as np

        def state():
            config = keras.config
            return {{
                "floatx": config.floatx(),
                "epsilon": config.epsilon(),
                "image_data_format": config.image_data_format(),
                "dtype_policy": config.dtype_policy().name,
                "backend": config.backend(),
                "interactive_logging": config.is_interactive_logging_enabled(),
                "traceback_filtering": config.is_traceback_filtering_enabled(),
                "distribution": repr(keras.distribution.distribution()),
                "custom_objects": sorted(
                    name
                    for name in keras.saving.get_custom_objects()
                    if not name.startswith("keras_xkd>")
                ),
                "numpy_errors": np.geterr(),
                "numpy_print": repr(np.get_printoptions()),
                "numpy_random": repr(np.random.get_state()),
                "warnings": repr(warnings.filters),
                "log_level": logging.getLogger().level,
                "log_handlers": len(logging.getLogger().handlers),
                "environment": dict(os.environ),
                "optional": sorted(
                    {OPTIONAL | FRAMEWORKS!r} & set(sys.modules)
                ),
            }}

        before = state()
        import keras_xkd
        for module in {modules!r}:
            importlib.import_module(module)
        after = state()
        changed = [k for k in before if before[k] != after[k]]
        print(json.dumps({{k: [before[k], after[k]] for k in changed}}))
        """
    )
    assert not changes


@pytest.mark.parametrize("path", PUBLIC)
def test_public_object(path):
    obj = PUBLIC[path]
    module, _, name = path.rpartition(".")
    assert name == obj.__name__
    assert getattr(importlib.import_module(module), name, None) is obj, (
        f"{obj.__module__} exports `{path}`, but `{module}/__init__.py` "
        "does not import it."
    )
    package = importlib.import_module(module)
    if hasattr(package, "__path__"):
        assert name in package.__all__  # What `help(package)` lists.
    doc = vars(obj).get("__doc__") if inspect.isclass(obj) else obj.__doc__
    assert doc, f"{path} has no docstring."
    assert ">>>" in doc or "```" in doc, f"{path} shows no example."


@pytest.mark.parametrize("path", PUBLIC)
def test_public_hints(path):
    missing = signatures.without_hints(PUBLIC[path])
    assert not missing, f"Without a type hint: {missing}"


def test_public_api():
    names = "".join(f"{path}\n" for path in PUBLIC)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(names)
    assert names == GOLDEN.read_text(), (
        "The public names are not those of tests/golden/public_api.txt. If "
        "the change is wanted, run `UPDATE_GOLDEN=1 pytest "
        "tests/conventions_test.py`, add a line to CHANGELOG.md and commit "
        "both."
    )
