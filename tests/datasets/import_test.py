import ast
import pathlib
import sys

import pytest

import keras_xkd.datasets as datasets
from keras_xkd.api_export import PUBLIC

FOLDER = pathlib.Path(datasets.__file__).parent
# Keras itself needs h5py.
ALLOWED = {"h5py", "keras_xkd", "numpy"} | set(sys.stdlib_module_names)
# Builders, which `keras_xkd.datasets` imports when somebody asks for one.
ON_DEMAND = {"tensorflow_datasets"}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.name
)
def test_nothing_heavy_is_imported_at_import(path):
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        packages = {name.split(".")[0] for name in names}
        assert packages <= ALLOWED | ON_DEMAND


MODULES = [n for n in datasets.__all__ if n.islower() and "build" not in n]


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_are_exported(module):
    functions = [
        path
        for path in PUBLIC
        if path.startswith(f"keras_xkd.datasets.{module}.")
    ]
    assert functions
    for path in functions:
        name = path.rsplit(".", 1)[1]
        assert getattr(getattr(datasets, module), name) is PUBLIC[path]


def test_licences_are_documented():
    text = (FOLDER / "LICENSES.md").read_text()
    assert "CC BY 4.0" in text
    assert "GPL-3.0-or-later" in text
