"""Turns the docstrings of this package into Markdown.

They have sections such as `Args:` with indented entries, examples with `>>>`
and Markdown between. Entries become lists of terms, examples become fences, and
names of public objects become links.
"""

import re
import textwrap

# Sections whose indented lines are entries `name: text`.
OF_ENTRIES = (
    "Args",
    "Attributes",
    "Call arguments",
    "Class attributes",
    "Raises",
)
OF_TEXT = (
    "Example",
    "Examples",
    "Returns",
    "Yields",
    "Reference",
    "References",
)
ENTRY = re.compile(r"(\*{0,2}\w[\w.`]*(?:, \*{0,2}\w[\w.]*)*): ?(.*)")


def to_markdown(docstring: str, links=None) -> str:
    """The Markdown of a docstring, without common indentation.

    Args:
        docstring: The docstring.
        links: `{name: full name}` of what is linked where it is named.
    """
    blocks, lines = [], docstring.strip("\n").splitlines()
    while lines:
        title = lines[0].removesuffix(":")
        if lines[0].endswith(":") and title in OF_ENTRIES + OF_TEXT:
            body, lines = indented(lines[1:])
            blocks.append(section(title, body))
        else:
            blocks.append(lines.pop(0))
    text = linked(fenced("\n".join(blocks)), links or {})
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def indented(lines):
    """The lines of a section, and those that come after."""
    end = 0
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(" "):
            break
        if line.strip():
            end = number
    return textwrap.dedent("\n".join(lines[:end])), lines[end:]


def section(title, body):
    if title in OF_ENTRIES:
        body = entries(body)
    return f"\n**{title}**\n\n{body}\n"


def entries(body):
    """`name: text` as a list of terms, of the extension `def_list`."""
    if not ENTRY.match(body):
        return body
    found = []
    for line in body.splitlines():
        entry = ENTRY.fullmatch(line)
        if entry:
            names = ", ".join(f"`{n}`" for n in re.split(", ", entry[1]))
            found += ["", names.replace("``", "`"), f":   {entry[2]}"]
        elif found:
            found.append(line)
    return "\n".join(found)


def fenced(text):
    """Puts the examples with `>>>` into fences.

    An example ends at a blank line, unless another `>>>` comes next.
    """
    lines, found, inside, margin = text.splitlines(), [], None, ""
    for number, line in enumerate(lines):
        start, following = line.lstrip(), [*lines, ""][number + 1].lstrip()
        if start.startswith("```") and inside != ">>>":
            inside = None if inside else "```"
        elif start.startswith(">>>") and not inside:
            margin, inside = line[: line.index(">")], ">>>"
            found.append(f"{margin}```pycon")
        elif inside == ">>>" and not start and not following.startswith(">>>"):
            found.append(f"{margin}```")
            inside = None
        found.append(line)
    if inside == ">>>":
        found.append(f"{margin}```")
    return "\n".join(found)


def linked(text, links):
    """Links names in backticks, outside of fences, headings and links."""
    found, fence = [], None
    for line in text.splitlines():
        marks = re.match(r"\s*(`{3,})", line)
        if marks and (fence is None or fence == marks[1]):
            fence = None if fence else marks[1]
        elif not fence and not line.startswith("#"):
            line = re.sub(
                r"(?<![\[`\w])`([A-Za-z_][\w.]*)(\(\))?`(?![\]`\w])",
                lambda match: link(match, links),
                line,
            )
        found.append(line)
    return "\n".join(found)


def link(match, links):
    target = links.get(match[1])
    return f"[{match[0]}][{target}]" if target else match[0]
