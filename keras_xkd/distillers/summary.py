"""A distiller at a glance: who reads what, who learns, and by which terms."""

import collections.abc
import shutil

import keras
import rich.box
import rich.console
import rich.markup
import rich.table

from keras_xkd.utils import overview

WIDEST = 110
_UNCOMPILED = "Terms, weights and optimizers are known after `compile`."
_MORE_TERMS = (
    "Further terms, of weight 1, are those that `compute_losses` returns: "
    "they are known after the first batch."
)
_NAMES = ("name", "term", "player")
_NUMBERS = ("parameters", "trained", "weight", "rate")


class Summary:
    """A mixin of models made of networks."""

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: collections.abc.Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: tuple[str, str] | None = None,
    ) -> None:
        """Prints who reads what, who learns, and by which terms.

        There is a row for every network and for every layer that the method
        adds, such as projections; after `compile` also for every loss term
        with its weight, and for every player with its optimizer.

        Args:
            line_length: Width of the lines; by default that of the terminal,
                at most 110.
            print_fn: Called with the text, by default `print`.
            positions, expand_nested, show_trainable, layer_range: As in
                `keras.Model.summary`. With any of them, its table of layers
                follows.
        """
        text = render(self, line_length)
        (print_fn or _default_print())(text)
        layers = dict(
            positions=positions,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )
        if any(layers.values()):
            super().summary(
                line_length=line_length, print_fn=print_fn, **layers
            )


def render(model: keras.Model, line_length: int | None = None) -> str:
    """The overview as text."""
    if line_length is None:
        line_length = min(WIDEST, shutil.get_terminal_size().columns - 4)
    console = rich.console.Console(
        width=line_length,
        highlight=False,
        force_terminal=False,
        color_system=None,
    )
    texts = []
    for part in _parts(model):
        with console.capture() as captured:
            console.print(part)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        texts.append("\n".join(lines).strip("\n"))
    return "\n\n".join(texts)


def _parts(model):
    name = type(model).__name__
    yield rich.markup.escape(f'{name}: "{model.name}"')
    columns = ["name", "class", "reads", "parameters", "trained", "player"]
    yield _table("Network", columns, overview.network_rows(model))
    made = overview.made_rows(model)
    if made:
        columns.remove("reads")
        yield _table("Layer of the method", columns, made)
    yield _total(model)
    if not model.players:
        return
    if not model.compiled:
        yield _UNCOMPILED
        return
    terms = overview.term_rows(model)
    for row in terms:
        row["weight"] = f"{row['weight']:g}"
    if terms:
        columns = ["term", "loss", "weight", "player"]
        yield _table("Term", columns, terms, player="minimised by")
    if not overview.terms_are_known(model):
        yield _MORE_TERMS
    columns = ["player", "optimizer", "rate", "parameters"]
    yield _table("Player", columns, overview.player_rows(model))


def _total(model):
    trained = sum(row["parameters"] for row in overview.player_rows(model))
    total = overview.count(model.weights)
    text = f"Parameters: {total:,} in all, {trained:,} of them trained."
    main = getattr(model, "main", None)
    if main:
        size = overview.count(model.roles[main].weights)
        text += f" The {main} has {size:,}."
    return text


def _table(title, columns, rows, player="trained by"):
    headers = {"player": player, "rate": "learning rate", columns[0]: title}
    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for key in columns:
        number = key in _NUMBERS
        longest = max(len(overview.number(row[key])) for row in rows)
        table.add_column(
            headers.get(key, key),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number,
            # Classes and modalities may be broken, names rather not.
            min_width=min(longest, 20) if key in _NAMES else None,
        )
    for row in rows:
        cells = [overview.number(row[key]) for key in columns]
        table.add_row(*map(rich.markup.escape, cells))
    return table


def _default_print():
    """As Keras: to the log where interactive logging is switched off."""
    if keras.config.is_interactive_logging_enabled():
        return print
    from absl import logging

    return logging.info
