"""What a model is made of and how it learns, as rows for people.

The rows are dicts of numbers and texts: `summary` and `RunReport` show them.
A model that is no distiller has one network, itself.
"""

import math

import keras

from keras_xkd.utils import modalities
from keras_xkd.utils.made_of_parts import MadeOfParts
from keras_xkd.utils.roles import name_networks

NOTHING = "-"
# How the layers are called that a distiller keeps in a dict of its own.
_KINDS = {"projections": "projection", "companions": "memory"}


def asked(model, name, default=None):
    """What a model of this package says; others may mean something else."""
    if not isinstance(model, MadeOfParts):
        return default
    return getattr(model, name, default)


def count(variables):
    """The number of parameters in variables, each counted once."""
    unique = {id(v): v for v in variables}.values()
    return sum(math.prod(v.shape) for v in unique)


def network_rows(model):
    """A row for every network, under the name by which a method runs it.

    Returns:
        Dicts with `name`, `network`, `class`, `modalities`, `reads` (the same
        as text), `parameters`, `trained` (how many of them, or why none) and
        `player`.
    """
    owner, frozen = _owners(model), _frozen_networks(model)
    rows = []
    for name, network in networks_of(model).items():
        row = _row(name, network, owner)
        row["modalities"] = modalities.known_modalities(network)
        row["reads"] = reads(network)
        if id(network) in frozen:
            row["trained"] = "frozen"
        rows.append(row)
    return rows


def made_rows(model):
    """A row for every layer that the distiller owns beside its roles."""
    if not asked(model, "roles"):
        return []
    roles = {id(n) for n in networks_of(model).values()}
    places = _places(model)
    idle = {id(layer) for layer in model.idle_layers()}
    owner = _owners(model)
    rows = []
    for layer in model.layers:
        if id(layer) in roles:
            continue
        row = _row(places.get(id(layer), layer.name), layer, owner)
        if not row["parameters"]:
            row["trained"] = NOTHING
        elif not model.compiled:
            row["trained"] = "after compile"
        elif id(layer) in idle:
            row["trained"] = "not used"
        rows.append(row)
    return rows


def term_rows(model):
    """A row for every term that is known: `term`, `loss`, `weight`, `player`.

    Empty before `compile`.
    """
    if not model.compiled or asked(model, "terms") is None:
        return []
    losses, weights = _losses(model), model.loss_weights
    if not terms_are_known(model):
        claimed = (term for own in model.players.values() for term in own or ())
        weights = {**weights, **{term: 1.0 for term in claimed}, **weights}
    return [
        {
            "term": term,
            "loss": losses.get(term, NOTHING),
            "weight": weight,
            "player": player_of_term(model, term) or NOTHING,
        }
        for term, weight in weights.items()
    ]


def terms_are_known(model):
    """Whether `term_rows` has all terms, not those of the first batch."""
    return model.compiled and (model.terms.known or bool(model.terms.metrics))


def player_of_term(model, term):
    """The player that minimises a term, or None."""
    for player, terms in model.players.items():
        if term in (terms or ()):
            return player
    rest = [player for player, terms in model.players.items() if terms is None]
    return rest[0] if rest else None


def player_rows(model):
    """A row for every player: `player`, `parameters`, `optimizer`, `rate`.

    The optimizer is a dash before `compile`.
    """
    owner = list(_owners(model).values())
    rows, found = [], optimizers(model)
    shared = len(found) > 1 and len({id(o) for o in found.values()}) == 1
    for player, optimizer in found.items():
        row = {
            "player": player,
            "parameters": sum(size for name, size in owner if name == player),
            "optimizer": NOTHING,
            "rate": NOTHING,
        }
        if optimizer is not None:
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            row["optimizer"] = type(inner).__name__ + ", shared" * shared
            row["rate"] = _rate_text(inner)
        rows.append(row)
    return rows


def optimizers(model):
    """A dict `{player: optimizer}`, None before `compile`."""
    names = list(asked(model, "players", ["model"]))
    if not model.compiled:
        return dict.fromkeys(names)
    ownership = asked(model, "ownership")
    own = getattr(ownership, "optimizers", None)
    return own or dict.fromkeys(names, model.optimizer)


def learning_rates(model):
    """A dict `{player: learning rate now}`, without those that have none."""
    found = {}
    for player, optimizer in optimizers(model).items():
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if inner is None or hasattr(inner, "optimizers"):
            continue  # Of several optimizers there is no one rate.
        rate = keras.ops.convert_to_numpy(inner.learning_rate)
        found[player] = float(rate)
    return found


def networks_of(model):
    """A dict `{name: network}` of all roles, or of a model by itself."""
    if asked(model, "roles"):
        return name_networks(model.roles)
    # `UME` and `LateFusion` say where they keep theirs.
    return asked(model, asked(model, "parts", ""), {"model": model})


def reads(network):
    """The modalities that a network reads, as text."""
    names = [*modalities.known_modalities(network)]
    optional = [n for n in modalities.optional_of(network) if n not in names]
    names += [f"({name})" for name in optional]
    return ", ".join(name for name in names if name) or NOTHING


def number(value):
    """A count or a word as text.

    Example:

    >>> number(12345), number("frozen")
    ('12,345', 'frozen')
    """
    return value if isinstance(value, str) else f"{value:,}"


def _row(name, layer, owner):
    trained = {id(v): v for v in layer.variables if id(v) in owner}
    players = dict.fromkeys(owner[key][0] for key in trained)
    return {
        "name": name,
        "network": layer.name,
        "class": type(layer).__name__,
        "parameters": count(layer.weights),
        "trained": count(trained.values()),
        "player": ", ".join(players) or NOTHING,
    }


def _owners(model):
    """A dict from the identity of a trained variable to player and size."""
    trained = {id(v) for v in model.trainable_variables}
    found = {}
    for player in asked(model, "players", ["model"]):
        layers = [model]
        if asked(model, "player_layers"):
            layers = model.player_layers(player)
        for variable in (v for layer in layers for v in layer.variables):
            if id(variable) in trained:
                size = math.prod(variable.shape)
                found.setdefault(id(variable), (player, size))
    return found


def _frozen_networks(model):
    roles = asked(model, "frozen", ())
    return {id(n) for role in roles for n in model.networks(role)}


def _places(model):
    """Where a distiller keeps its layers, such as `projection (teacher)`."""
    found = {}

    def walk(value, path):
        if isinstance(value, keras.layers.Layer):
            kind, *inner = path
            kind = _KINDS.get(kind, kind)
            text = f"{kind} ({', '.join(inner)})" if inner else kind
            found.setdefault(id(value), text)
        elif isinstance(value, dict):
            for key, part in value.items():
                walk(part, [*path, str(key)])
        elif isinstance(value, (list, tuple)):
            for index, part in enumerate(value):
                walk(part, [*path, str(index)])

    for name, value in vars(model).items():
        if not name.startswith("_"):
            walk(value, [name])
    return found


def _losses(model):
    """What is known of the losses behind the terms: `{term: text}`."""
    found = {}
    task = model.task_loss
    for term in model.loss_weights:
        if term == "task" or term.endswith("_task"):
            found[term] = "no `loss`: left out" if task is None else task.name

    def walk(value, name):
        if isinstance(value, dict):
            for key, part in value.items():
                walk(part, key)
        elif hasattr(value, "comparison"):
            found[name] = _loss_text(value.comparison)

    walk(model.plan.pairs, None)
    return found


def _loss_text(comparison):
    inner = getattr(comparison, "loss", comparison)  # Of a `Matching`.
    name = getattr(inner, "__name__", type(inner).__name__)
    return f"{name} of {comparison.output}"


def _rate_text(optimizer):
    if hasattr(optimizer, "optimizers"):
        return NOTHING
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    given = optimizer.get_config().get("learning_rate")
    if isinstance(given, dict):  # A schedule.
        return f"{rate:.4g} now, {given['class_name']}"
    return f"{rate:.4g}"
