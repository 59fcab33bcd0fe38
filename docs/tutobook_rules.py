"""The rules of the gallery, and what in a script breaks them.

Those of the Keras site, and two of ours: code of 80 columns, and text that
begins with a section.
"""

import ast
import datetime
import pathlib
import re
import warnings

import tutobook_cells as cells

LONGEST_CODE = 80
LONGEST_TEXT = 100
LONGEST_DESCRIPTION = 100
MOST_LINES_OF_CODE = 300


def check(path) -> list[str]:
    """What in a script breaks the rules: `file:line: what, and how to fix`."""
    path = pathlib.Path(path)
    text = path.read_text()
    if not text.startswith(f"{cells.QUOTES}\n"):
        return [f"{path}:1: The first line must be {cells.QUOTES} alone."]
    found = [*check_lines(text), *check_as_python(text)]
    try:
        header, *rest = cells.split(text)
    except ValueError as error:
        found.append((1, str(error)))
    else:
        found += check_header(header)
        for cell in rest:
            found += check_cell(cell)
        found += check_whole(rest)
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def check_header(cell):
    names = [line.partition(": ")[0] for line in cell.lines]
    names = ["Author" if name == "Authors" else name for name in names]
    if names != list(cells.FIELDS):
        yield (
            1,
            "The header must have one line for each of "
            f"{', '.join(cells.FIELDS)}, in this order, written `Name: value`. "
            f"Received: {', '.join(names)}.",
        )
        return
    header = cells.read_header(cell)
    for number, (name, value) in enumerate(header.items(), cell.line):
        if not value:
            yield number, f"`{name}` must not be blank."
    dates = {}
    for name in ("Date created", "Last modified"):
        try:
            date = datetime.datetime.strptime(header[name], "%Y/%m/%d")
            if date.strftime("%Y/%m/%d") != header[name]:
                raise ValueError
            dates[name] = date
        except ValueError:
            yield (
                cell.line + cells.FIELDS.index(name),
                f"`{name}` must be a date YYYY/MM/DD. Received: {header[name]}",
            )
    if len(dates) == 2 and dates["Last modified"] < dates["Date created"]:
        yield cell.line + 3, "It was modified before it was created."
    description = header["Description"]
    if description and not (
        description[0] == description[0].upper()
        and description.endswith(".")
        and len(description) <= LONGEST_DESCRIPTION
    ):
        yield (
            cell.line + 4,
            "`Description` must be one sentence of at most "
            f"{LONGEST_DESCRIPTION} characters, with a capital letter and a "
            f"full stop. Received {len(description)} characters: {description}",
        )
    if header["Accelerator"] not in ("None", "GPU", "TPU"):
        yield (
            cell.line + 5,
            "`Accelerator` must be None, GPU or TPU. "
            f"Received: {header['Accelerator']}",
        )


def check_lines(text):
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield number, "Blanks at the end of the line must go."
        if "\t" in line:
            yield number, "Tabs must be blanks."
        if "arxiv.org/pdf" in line:
            yield number, "Link to the abstract on arXiv, not to the PDF."
        if line.startswith(cells.QUOTES) and line.count(cells.QUOTES) > 1:
            yield (
                number,
                f"{cells.QUOTES} must open and close a cell on lines of their "
                "own.",
            )
    if text and not text.endswith("\n"):
        yield len(text.splitlines()), "The last line must end."


def check_cell(cell):
    longest = LONGEST_TEXT if cell.kind == "text" else LONGEST_CODE
    for number, line in enumerate(cell.lines, cell.line):
        # Neither a table nor an address can be broken.
        free = cell.kind == "text" and (line.startswith("|") or "](" in line)
        if len(line) > longest and not free:
            yield (
                number,
                f"Lines of {cell.kind} have at most {longest} characters. "
                f"Received: {len(line)}",
            )
    if cell.kind == "code":
        yield from check_code(cell)
    elif cell.kind not in ("text", *cells.TAGS):
        yield (
            cell.line - 1,
            f"After {cells.QUOTES} there is nothing, or one of "
            f"{', '.join(cells.TAGS)}. Received: {cell.kind}",
        )
    elif not cell.lines:
        yield cell.line - 1, f"A cell of {cell.kind} must not be blank."
    elif cell.kind == "text":
        yield from check_text(cell)
    elif cell.kind == "shell":
        for number, line in enumerate(cell.lines, cell.line):
            if line.endswith("\\") or not line.strip():
                yield (
                    number,
                    "Each line of a shell cell must be one command: a "
                    "notebook runs each by itself.",
                )


def check_code(cell):
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        yield (
            cell.line + (error.lineno or 1) - 1,
            "Each cell of code must be complete, since a notebook runs it by "
            f"itself: {error.msg}.",
        )


def check_text(cell):
    fenced = False
    for number, line in enumerate(cell.lines, cell.line):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and re.match(r"# ", line):
            yield number, "The title is in the header; sections begin with ##."
        elif not fenced and re.match(r"#+[^# ]", line):
            yield number, "A blank must follow the # of a section."
    if fenced:
        yield cell.line, "A fence ``` in this cell is never closed."


def check_whole(rest):
    texts = [cell for cell in rest if cell.kind == "text"]
    begins = texts and texts[0] is rest[0] and texts[0].source.startswith("## ")
    if not begins:
        yield (
            rest[0].line if rest else 1,
            "After the header there must be a text that begins with a "
            "section, such as `## Introduction`.",
        )
    code = [cell for cell in rest if cell.kind == "code"]
    if not code:
        yield 1, "There must be a cell of code."
    lines = [line.strip() for cell in code for line in cell.lines]
    count = sum(1 for line in lines if line and not line.startswith("#"))
    if count > MOST_LINES_OF_CODE:
        yield (
            1,
            f"A script has at most {MOST_LINES_OF_CODE} lines of code. "
            f"Received: {count}",
        )


def check_as_python(text):
    """To Python a cell of text is a string: with escapes, and between lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            yield error.lineno or 1, f"Python cannot read this: {error.msg}."
            return
    lines = text.splitlines()
    for node in tree.body:
        is_text = (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        opens = lines[node.lineno - 1].startswith(cells.QUOTES)
        closes = lines[node.end_lineno - 1].startswith(cells.QUOTES)
        if is_text and not opens:
            yield node.lineno, f"A cell of text must begin with {cells.QUOTES}."
        elif not is_text and (opens or closes):
            yield (
                node.lineno,
                f"A string in code must not put {cells.QUOTES} at the begin "
                "of a line: there a cell begins.",
            )
