"""Scripts of the gallery, and their notebooks and pages."""

import ast
import json
import pathlib

import nbformat
import pytest
import tutobook
import tutobook_cells as cells
from tutobook_rules import check

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = [s.path for s in cells.scripts(ROOT / "guides", ROOT / "examples")]
OWN_WAY = "many_devices"  # Its commands choose the backend.
HEADER = '''"""
Title: Two lines
Author: The keras_xkd contributors
Date created: 2026/11/20
Last modified: 2026/11/21
Description: What two lines do.
Accelerator: GPU
"""
'''
BODY = '''
"""
## Introduction

Text with `code`, and a fence:

```python
x = 0
```
"""

"""shell
pip install -q something
ls
"""

import os


def twice(x):
    """Not a cell: it is indented."""
    return 2 * x


"""
## Picture
"""

figure = plot(twice(1))
figure.savefig(os.path.join(".", "two_lines.png"))

"""invisible
Nobody sees this.
"""
'''


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "two_lines.py"
        path.write_text(text)
        return path

    return write


def name_of(path):
    return f"{path.parent.name}/{path.name}"


def sources(notebook, kind):
    return [
        "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == kind and "tags" not in cell["metadata"]
    ]


def test_cells(write):
    script = cells.read(write(HEADER + BODY))
    assert script.name == "two_lines"
    assert script.header["Accelerator"] == "GPU"
    found = [(cell.kind, cell.line) for cell in script.cells]
    assert found == [
        ("text", 11),
        ("shell", 21),
        ("code", 25),
        ("text", 34),
        ("code", 37),
        ("invisible", 41),
    ]
    lines = (HEADER + BODY).splitlines()
    for cell in script.cells:
        end = cell.line - 1 + len(cell.lines)
        assert cell.lines == lines[cell.line - 1 : end]


def test_notebook(write):
    notebook = tutobook.to_notebook(cells.read(write(HEADER + BODY)))
    nbformat.validate(nbformat.from_dict(notebook))
    assert notebook["metadata"]["accelerator"] == "GPU"
    title, introduction, picture = sources(notebook, "markdown")
    assert title.startswith("# Two lines\n\n**Author:** The keras_xkd")
    assert introduction.startswith("## Introduction")
    assert picture == "## Picture"
    shell, twice, plot = sources(notebook, "code")
    assert shell == "!pip install -q something\n!ls"
    assert ast.unparse(ast.parse(twice)) in ast.unparse(ast.parse(BODY))
    assert plot.startswith("figure = plot")
    added = [c for c in notebook["cells"] if "tags" in c["metadata"]]
    assert "os.path.join('.', 'two_lines.png')" in "".join(added[0]["source"])
    assert "Nobody" not in json.dumps(notebook)


def test_markdown(write):
    script = cells.read(write(HEADER + BODY))
    outputs = {"1": {"text": "a\n```\nb", "pictures": ["two_lines.png"]}}
    page = tutobook.to_markdown(script, outputs, "pictures/", "Below.")
    assert page.startswith("# Two lines\n\n**Author:**")
    assert page.index("Below.") < page.index("## Introduction")
    assert "```shell\npip install -q something\nls\n```" in page
    assert "````{ .text .output" in page  # A fence around what has one.
    assert "![two lines](pictures/two_lines.png)" in page
    order = ["import os", "## Picture", "figure = plot", "a\n```\nb", "!["]
    places = [page.index(part) for part in order]
    assert places == sorted(places)
    assert "Nobody" not in page


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_of_the_gallery(path):
    assert check(path) == []
    script = cells.read(path)
    notebook = tutobook.to_notebook(script)
    nbformat.validate(nbformat.from_dict(notebook))
    # All that Python runs is in the cells, and nothing else.
    code = "\n".join(s for s in sources(notebook, "code") if s[0] != "!")
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not is_text(node)]
    assert ast.dump(ast.parse(code)) == ast.dump(tree)
    shown = [c.source for c in script.cells if c.kind == "text"]
    assert sources(notebook, "markdown")[1:] == shown
    page = tutobook.to_markdown(script)
    assert all(source in page for source in shown)


@pytest.mark.parametrize(
    "path", [p for p in SCRIPTS if p.stem != OWN_WAY], ids=name_of
)
def test_a_script_chooses_its_backend_and_says_how_to_install(path):
    text = path.read_text()
    choice = 'os.environ.setdefault("KERAS_BACKEND", "jax")'
    assert choice in text
    for line in ("import keras\n", "import keras_xkd", "from keras"):
        assert f"\n{line}" not in text[: text.index(choice)]
    assert "pip install" in text
    if ".savefig(" in text:
        assert '"OUTPUT"' in text


def is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def test_commands(write, capsys):
    path = write(HEADER + BODY)
    assert tutobook.main(["check", str(path)]) == 0
    assert capsys.readouterr().out == ""
    assert tutobook.main(["nb", str(path)]) == 0
    assert tutobook.main(["md", str(path)]) == 0
    nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert path.with_suffix(".md").read_text().startswith("# Two lines")
    path.with_suffix(".md").unlink()
    path.write_text("x = 1\n")
    assert tutobook.main(["md", str(path)]) == 1
    assert "first line" in capsys.readouterr().out
    assert not path.with_suffix(".md").exists()


FAULTS = {
    "one line for each": ("Accelerator: GPU\n", ""),
    "must not be blank": ("Two lines", ""),
    "date YYYY/MM/DD. Received: 2026-11-20": ("2026/11/20", "2026-11-20"),
    "date YYYY/MM/DD. Received: 2026/2/30": ("2026/11/20", "2026/2/30"),
    "date YYYY/MM/DD. Received: 2026/1/5": ("2026/11/20", "2026/1/5"),
    "before it was created": ("2026/11/20", "2026/11/22"),
    "one sentence": ("two lines do.", "two lines do"),
    "a capital letter": ("What two", "what two"),
    "None, GPU or TPU": ("Accelerator: GPU", "Accelerator: CPU"),
    "Blanks at the end": ("import os", "import os "),
    "Tabs": ("    return 2", "\treturn 2"),
    "not to the PDF": ("Text", "https://arxiv.org/pdf/1503.02531"),
    "lines of their own": ('"""\n## Picture\n"""', '"""## Picture"""'),
    "Lines of code": ("import os", f"import os  # {'x' * 80}"),
    "Lines of text": ("Text with", f"Text {'x' * 100}"),
    "Received: raw": ('"""invisible', '"""raw'),
    "must not be blank. ": ("## Picture\n", ""),
    "each by itself": ("pip install -q", "pip \\\ninstall -q"),
    "must be complete": ("def twice(x):", "if os:\n    x = (\n"),
    "title is in the header": ("## Picture", "# Picture"),
    "A blank must follow": ("## Picture", "##Picture"),
    "never closed": ("```\n", ""),
    "begins with a section": ("## Introduction\n", ""),
    "Python cannot read": ("Text with", "Text \\with"),
    "There must be a cell of code": (BODY, BODY[: BODY.index("import os")]),
    "at most 300 lines": ("import os\n", "import os\n" * 301),
    "must begin with": ('"""\n## Picture\n"""', "'''\n## Picture\n'''"),
    "there a cell begins": ("    return 2 * x", '    return """\n"""'),
}


@pytest.mark.parametrize("message", FAULTS)
def test_rules(message, write):
    text = HEADER + BODY
    assert check(write(text)) == []
    old, new = FAULTS[message]
    assert old in text
    path = write(text.replace(old, new, 1))
    found = check(path)
    assert any(message.strip() in line for line in found), found
    assert all(line.startswith(f"{path}:") for line in found)
