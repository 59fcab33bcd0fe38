"""Small parts of a page that needs nothing but itself."""

import base64
import html
import io
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

# A vector picture of many points is larger than one of pixels.
LARGEST_VECTOR = 400_000


def escape(value: Any) -> str:
    """Text that means itself in HTML.

    Example:

    >>> escape("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    return html.escape(str(value), quote=True)


def table(
    header: Sequence[Any], rows: Iterable[Sequence[Any]], numbers: Sequence[int]
) -> str:
    """A table in a box that scrolls where the page is narrow.

    Args:
        header: Titles of the columns.
        rows: The cells.
        numbers: Indices of the columns that are aligned to the right.
    """

    def line(cells, tag):
        return "".join(
            f"<{tag}{' class=n' if i in numbers else ''}>{escape(c)}</{tag}>"
            for i, c in enumerate(cells)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        '<div class="scroll"><table>\n'
        f"<thead><tr>{line(header, 'th')}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def facts(pairs: Mapping[str, Any]) -> str:
    """Names and what they are, without those that are None or empty."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in pairs.items()
        if value not in (None, "")
    )
    return f"<dl>{items}</dl>" if items else ""


def text(value: Any) -> str:
    """What an object prints: paragraphs, and its tables as tables.

    Example:

    >>> text("One.")
    '<p class="said">One.</p>'
    """
    parts: list[str] = []
    kept: list[str] = []
    for line in [*str(value).splitlines(), None]:
        is_table = line is not None and line.startswith("|")
        if kept and (line is None or is_table != kept[-1].startswith("|")):
            is_before = kept[-1].startswith("|") and len(kept) > 1
            said = f'<p class="said">{escape(chr(10).join(kept).strip())}</p>'
            parts.append(_from_markdown(kept) if is_before else said)
            kept = []
        if line is not None:
            kept.append(line)
    return "\n".join(parts)


def picture(figure: Any, title: str = "", said: str = "") -> str:
    """A figure of matplotlib, in the page itself, with a title and a note."""
    data = io.BytesIO()
    figure.savefig(data, format="svg")
    kind = "svg+xml"
    if data.tell() > LARGEST_VECTOR:
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=200)
        kind = "png"
    code = base64.b64encode(data.getvalue()).decode()
    # As wide as drawn, where there is room. On a phone it shrinks to 480 px
    # and its box scrolls: smaller letters could not be read.
    style = f"width:{round(96 * figure.get_size_inches()[0])}px"
    return (
        f'<figure>{caption(title)}<div class="scroll"><img style="{style}" '
        f'alt="{escape(title)}" src="data:image/{kind};base64,{code}"></div>'
        f"{note(said)}</figure>"
    )


def section(title: str, *parts: str) -> str:
    """A section, or nothing if there is nothing in it."""
    content = "\n".join(part for part in parts if part)
    if not content:
        return ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def caption(title: str) -> str:
    return f"<figcaption>{escape(title)}</figcaption>" if title else ""


def note(value: Any) -> str:
    return f'<p class="note">{escape(value)}</p>' if str(value) else ""


def _from_markdown(lines):
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
    ]
    rule = cells[1]
    numbers = [i for i, c in enumerate(rule) if c.endswith("-:")]
    return table(cells[0], cells[2:], numbers)
