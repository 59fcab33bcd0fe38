"""The page of `RunReport`, section by section."""

import types
from typing import Any

from keras_xkd.callbacks import report_curves
from keras_xkd.callbacks import report_extras
from keras_xkd.callbacks import report_run
from keras_xkd.callbacks.report_style import STYLE
from keras_xkd.utils import described
from keras_xkd.utils import html
from keras_xkd.utils import overview

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(facts: types.SimpleNamespace) -> str:
    """The whole page.

    Args:
        facts: What `RunReport.write` knows.
    """
    options, model = facts.options, facts.model
    title = options.title or f"{type(model).__name__}: {model.name}"
    notes = html.text(options.notes) if options.notes else ""
    parts = [
        f"<header><h1>{html.escape(title)}</h1>\n"
        f"{report_run.state(facts)}\n{notes}</header>",
        html.section("Results", *report_curves.numbers(facts.history)),
        html.section("Comparison", *report_extras.comparison(facts)),
        html.section("Diagnostics", *report_extras.diagnostics(facts)),
        html.section("Figures", *report_extras.figures(facts)),
        html.section("Curves", *report_curves.curves(facts.history)),
        html.section("Data", *_data(facts)),
        html.section("Networks", *_networks(model)),
        html.section("Objective", *_objective(facts)),
        html.section("How it was run", report_run.environment(facts)),
    ]
    body = "\n".join(part for part in parts if part)
    return PAGE.format(title=html.escape(title), style=STYLE, body=body)


def _data(facts):
    found, main = facts.data, _main_modality(facts.model)
    seen = found.get("specification")
    if seen is None and facts.seen is not None:
        seen = facts.seen.specification
    if seen is None:
        seen = _declared(facts.model)
    lines = described.rows(seen, main)
    networks = overview.network_rows(facts.model)
    for line in lines:
        readers = [r["name"] for r in networks if _reads(r, line[0])]
        line.append(", ".join(readers) or overview.NOTHING)
    if lines:
        header = ["", "shape of one sample", "data type", "read by"]
        yield html.table(header, lines, numbers=())
    sizes = found.get("sizes", {})
    validation = found.get("validation", {})
    steps = facts.steps or sizes.get("batches")
    yield html.facts(
        {
            "Training data": _amount(sizes),
            "Batches per epoch": steps and f"{steps:,}",
            "Batch size": found.get("batch_size"),
            "Validation data": _amount(validation),
        }
    )


def _reads(row, name):
    """Whether a network reads an entry, or a part of one: `text token_ids`."""
    return any(f"{name} ".startswith(f"{own} ") for own in row["modalities"])


def _declared(model):
    """The inputs of the networks, where they have not seen data."""
    networks = overview.networks_of(model).values()
    return {
        tensor.name: (tensor.shape, tensor.dtype)
        for network in networks
        for tensor in getattr(network, "inputs", None) or ()
    }


def _amount(sizes):
    if "share" in sizes:
        return f"{100 * sizes['share']:g} % of the training data"
    for unit in ("samples", "batches"):
        if sizes.get(unit):
            return f"{sizes[unit]:,} {unit} ({sizes['kind']})"
    return sizes.get("kind")


def _main_modality(model):
    main = overview.asked(model, "main", "model")
    for row in overview.network_rows(model):
        if row["name"] == main and len(row["modalities"]) == 1:
            return row["modalities"][0]
    return "x"


def _networks(model):
    columns = ["name", "network", "class", "reads"]
    columns += ["parameters", "trained", "player"]
    yield _table(
        ["", "name", "class", "reads", "parameters", "trained", "trained by"],
        columns,
        overview.network_rows(model),
    )
    made = overview.made_rows(model)
    if made:
        columns.remove("reads")
        yield "<h3>Further layers of the method</h3>"
        header = ["", "name", "class", "parameters", "trained", "trained by"]
        yield _table(header, columns, made)
    total = overview.count(model.weights)
    yield html.note(f"{total:,} parameters in all.")


def _objective(facts):
    model = facts.model
    if not model.compiled:
        yield html.note("The model is not compiled.")
        return
    terms = overview.term_rows(model)
    for row in terms:
        row["weight"] = f"{row['weight']:g}"
    if terms:
        yield _table(
            ["term", "loss", "weight", "minimised by"],
            ["term", "loss", "weight", "player"],
            terms,
        )
    if overview.asked(model, "terms") and not overview.terms_are_known(model):
        yield html.note("Further terms are known after the first batch.")
    players = overview.player_rows(model)
    for row in players:
        rates = [rate.get(row["player"]) for rate in facts.rates]
        if None not in rates and rates[0] != rates[-1]:
            row["rate"] = f"{rates[0]:.4g}, at the end {rates[-1]:.4g}"
    if players:
        yield _table(
            ["player", "optimizer", "learning rate", "parameters"],
            ["player", "optimizer", "rate", "parameters"],
            players,
        )


def _table(header: list[str], columns: list[str], rows: list[dict[str, Any]]):
    numeric = ("parameters", "trained", "weight")
    return html.table(
        header,
        [[overview.number(row[key]) for key in columns] for row in rows],
        [i for i, key in enumerate(columns) if key in numeric],
    )
