"""Converts a script of the gallery to a notebook or to Markdown.

    python docs/tutobook.py check FILE...
    python docs/tutobook.py nb FILE...      writes FILE.ipynb beside
    python docs/tutobook.py md FILE...      writes FILE.md beside

A script has the format of the examples on the Keras site. `tutobook_cells.py`
reads it, and `tutobook_rules.py` has what is checked before it is converted.
"""

import argparse
import ast
import json
import pathlib
import sys

import tutobook_cells as cells
from tutobook_rules import check

NOT_IN_GALLERY = (
    "It is no script of the gallery: fix what `check` says, then convert it."
)


def title_of(script) -> str:
    """The header, as the gallery shows it."""
    shown = [n for n in cells.FIELDS if n not in ("Title", "Accelerator")]
    lines = [f"**{name}:** {script.header[name]}" for name in shown]
    return f"# {script.header['Title']}\n\n" + "<br>\n".join(lines)


def saved_pictures(source: str) -> list[str]:
    """The expressions that name the pictures which a cell of code saves.

    Only calls `....savefig(path)` outside of functions are seen.
    """
    found = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Expr):
            call = statement.value
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "savefig"
                and call.args
            ):
                found.append(ast.unparse(call.args[0]))
    return found


def to_notebook(script) -> dict:
    """A notebook of format 4.5 without outputs, that Colab opens as it is.

    A notebook shows no picture that goes into a file, so that a cell is added
    where the script saves one; its metadata have the tag `added`.
    """
    found = [markdown_cell(title_of(script))]
    for cell in script.cells:
        if cell.kind == "text":
            found.append(markdown_cell(cell.source))
        elif cell.kind == "shell":
            commands = "\n".join(f"!{line}" for line in cell.lines)
            found.append(code_cell(commands))
        elif cell.kind == "code":
            found.append(code_cell(cell.source))
            pictures = saved_pictures(cell.source)
            if pictures:
                shown = [
                    f"display(Image(filename=str({path})))" for path in pictures
                ]
                show = [
                    "from IPython.display import Image, display",
                    "",
                    *shown,
                ]
                found.append(code_cell("\n".join(show), ["added"]))
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    metadata = {
        "colab": {"name": script.name, "provenance": [], "toc_visible": True},
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    if script.header["Accelerator"] != "None":
        metadata["accelerator"] = script.header["Accelerator"]
    return {
        "cells": found,
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def markdown_cell(source: str) -> dict:
    return {
        "cell_type": "markdown",
        "metadata": {"colab_type": "text"},
        "source": source.splitlines(keepends=True),
    }


def code_cell(source: str, tags=()) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"colab_type": "code"} | ({"tags": tags} if tags else {}),
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def to_markdown(script, outputs=None, pictures="", under_title="") -> str:
    """A page with what the script says, does, and, if it ran, shows.

    Args:
        script: What `cells.read` returns.
        outputs: `{number of the code cell: {"text": ..., "pictures":
            [file names]}}`, as `gallery_record.py` writes it, or None.
        pictures: Where the page finds the pictures.
        under_title: Markdown to put below the title.
    """
    parts = [title_of(script), under_title]
    number = 0
    for cell in script.cells:
        if cell.kind == "text":
            parts.append(cell.source)
        elif cell.kind == "shell":
            parts.append(fence("shell", cell.source))
        elif cell.kind == "code":
            parts.append(fence("python", cell.source))
            parts += shown_outputs((outputs or {}).get(str(number)), pictures)
            number += 1
    return "\n\n".join(part for part in parts if part) + "\n"


def shown_outputs(output, folder) -> list[str]:
    if not output:
        return []
    parts = []
    if output["text"]:
        parts.append(fence('{ .text .output title="Output" }', output["text"]))
    for name in output["pictures"]:
        words = pathlib.Path(name).stem.replace("_", " ")
        parts.append(f"![{words}]({folder}{name})")
    return parts


def fence(language: str, source: str) -> str:
    # A fence is longer than those in what it holds.
    marks = "```"
    while marks in source:
        marks += "`"
    return f"{marks}{language}\n{source}\n{marks}"


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(
        "tutobook", description="Scripts of the gallery, in other formats."
    )
    parser.add_argument("action", choices=["nb", "md", "check"])
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args(arguments)
    failed = False
    for path in options.files:
        problems = check(path)
        print(*problems, sep="\n", end="\n" if problems else "")
        failed = failed or bool(problems)
        if options.action == "check" or problems:
            continue
        script = cells.read(path)
        if options.action == "nb":
            written = path.with_suffix(".ipynb")
            text = json.dumps(to_notebook(script), indent=1) + "\n"
        else:
            written, text = path.with_suffix(".md"), to_markdown(script)
        written.write_text(text)
        print(f"wrote {written}")
    if failed and options.action != "check":
        print(NOT_IN_GALLERY)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
