"""Reads a script of the gallery: a header, then cells of text and of code.

The format is that of the examples on the Keras site. A line that begins with
three quotes opens a cell of text, and the next such line closes it; what is
between two of them is code. `shell` or `invisible` may follow the quotes.
"""

import dataclasses
import pathlib

QUOTES = '"""'
TAGS = ("shell", "invisible")
FIELDS = (
    "Title",
    "Author",
    "Date created",
    "Last modified",
    "Description",
    "Accelerator",
)


@dataclasses.dataclass
class Cell:
    """Lines of a script without those of the quotes and blank ones around.

    `kind` is "text", "code", "shell", "invisible", or the tag that was found;
    `line` is the number of its first line in the file.
    """

    kind: str
    lines: list[str]
    line: int

    @property
    def source(self) -> str:
        return "\n".join(self.lines)


@dataclasses.dataclass
class Script:
    path: pathlib.Path
    header: dict[str, str]
    cells: list[Cell]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def code(self) -> str:
        """All that Python runs."""
        return "\n\n".join(c.source for c in self.cells if c.kind == "code")


def trimmed(kind: str, lines: list[str], line: int) -> Cell:
    while lines and not lines[0].strip():
        lines, line = lines[1:], line + 1
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return Cell(kind, lines, line)


def split(text: str) -> list[Cell]:
    """All cells of a script, the header first. Blank code is left out."""
    cells: list[Cell] = []
    kind, lines, start = "code", [], 1

    def close() -> None:
        cell = trimmed(kind, lines, start)
        if cell.lines or kind != "code":
            cells.append(cell)

    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith(QUOTES):
            lines.append(line)
            continue
        close()
        opens = kind == "code"
        kind = (line[3:].strip() or "text") if opens else "code"
        lines, start = [], number + 1
    if kind != "code":
        raise ValueError(
            f"The cell of text from line {start - 1} on is never closed: a "
            f"line {QUOTES} is missing."
        )
    close()
    return cells


def read_header(cell: Cell) -> dict[str, str]:
    header = {}
    for line in cell.lines:
        name, _, value = line.partition(":")
        header["Author" if name == "Authors" else name] = value.strip()
    return header


def has_header(path) -> bool:
    """Whether a file is meant to be a script of the gallery."""
    return pathlib.Path(path).read_text().startswith(f"{QUOTES}\nTitle:")


def read(path) -> Script:
    """Reads a script, without asking more of it than what a reader needs.

    Raises:
        ValueError: If it does not begin with a header, or a cell of text is
            never closed.
    """
    path = pathlib.Path(path)
    if not has_header(path):
        raise ValueError(
            f"{path} must begin with a line {QUOTES} and a line 'Title: ...'."
        )
    header, *cells = split(path.read_text())
    return Script(path, read_header(header), cells)


def scripts(*folders) -> list[Script]:
    """The scripts of the gallery in these folders, by name."""
    paths = [p for f in folders for p in sorted(pathlib.Path(f).glob("*.py"))]
    return [read(path) for path in paths if has_header(path)]
