"""Tables for people: readable in a terminal, and valid Markdown."""


def table(header, rows):
    """A Markdown table with aligned columns.

    Args:
        header: The titles of the columns.
        rows: A list of rows, each a list of strings or numbers. Columns other
            than the first are aligned to the right.

    Example:

    >>> print(table(["row", "%"], [["one", 9.5], ["three", "10.0"]]))
    | row   |    % |
    |:------|-----:|
    | one   |  9.5 |
    | three | 10.0 |
    """
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row):
        padded = [
            c.rjust(w) if i else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [
        "-" * (w + 1) + ":" if i else ":" + "-" * (w + 1)
        for i, w in enumerate(widths)
    ]
    return "\n".join(
        [line(cells[0]), "|" + "|".join(rule) + "|", *map(line, cells[1:])]
    )


def number(value, digits=3):
    """A number with so many digits, and no power of ten for large ones.

    Example:

    >>> number(0.012345), number(12.345), number(12345.6)
    ('0.0123', '12.3', '12346')
    """
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text else text


def interval(summary, digits=1, sign=False):
    """The interval of a summary as text, a dash if there is none.

    Example:

    >>> interval({"low": -1.23, "high": 4.56})
    '-1.2 to 4.6'
    """
    if summary["low"] is None:
        return "-"
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{summary['low']:{form}} to {summary['high']:{form}}"
