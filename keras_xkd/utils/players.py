"""Who minimises which terms, with which variables and which optimizer."""

import keras


class Ownership:
    """Maps every trained variable to the player that owns it.

    Args:
        players: Names of the players, in order.
        layers_of: A function from a player to the layers that it trains.
        trainable: The variables that will be trained.
        frozen: A dict `{role: networks}` of the roles that never learn.

    Raises:
        ValueError: If a variable is owned by two players, by none, or by a
            player and a frozen role.
    """

    def __init__(self, players, layers_of, trainable, frozen):
        for player, terms in players.items():
            if isinstance(terms, str):  # `("critic")` is a string.
                raise ValueError(
                    "`players` must have the terms of each player as a tuple, "
                    f"or None. Received: {terms!r} for '{player}'; a tuple is "
                    f"({terms!r},)"
                )
        self.players = list(players)
        self.layers = [list(layers_of(player)) for player in players]
        self.variables = list(trainable)
        self._owner = {}
        self.optimizers = {}  # By player, where each has its own.
        frozen_in = {
            id(variable): role
            for role, networks in frozen.items()
            for network in networks
            for variable in network.variables
        }
        trained = {id(v) for v in trainable}
        for index, player in enumerate(self.players):
            variables = {
                id(v): v
                for layer in self.layers[index]
                for v in layer.variables
            }
            for key, variable in variables.items():
                self._check(variable, player, frozen_in)
                if key in trained:
                    self._owner[key] = index
        self._check_orphans()
        for player, layers in zip(self.players, self.layers, strict=True):
            if not layers:
                raise ValueError(
                    f"The player '{player}' has no layer to train. A player "
                    "has the networks of the role of its name: give the "
                    "distiller such a role, or define `player_layers`."
                )

    def indices(self, player, variables):
        """Positions in `variables` of those that a player (index) owns."""
        new = [v.path for v in variables if id(v) not in self._owner]
        if new:
            raise ValueError(
                f"The variables {new[:5]} were made, or became trainable, "
                "after `compile`. Build all layers in the constructor, and "
                "compile again after changing `trainable`."
            )
        return [
            i for i, v in enumerate(variables) if self._owner[id(v)] == player
        ]

    def penalties(self, player):
        """Regularisers and `add_loss` values of what a player (index) has."""
        return [p for layer in self.layers[player] for p in layer.losses]

    def player_of(self, variable):
        return self._owner[id(variable)]

    def _check(self, variable, player, frozen_in):
        key = id(variable)
        if key in frozen_in:
            raise ValueError(
                f"The variable '{variable.path}' belongs to the frozen role "
                f"'{frozen_in[key]}' and to the player '{player}', who would "
                "train it. Give each its own layer, for example by "
                "`keras.models.clone_model`."
            )
        if key in self._owner:
            other = self.players[self._owner[key]]
            raise ValueError(
                f"The variable '{variable.path}' is owned by the players "
                f"'{other}' and '{player}'. Every variable must have one owner."
            )

    def _check_orphans(self):
        orphans = [v.path for v in self.variables if id(v) not in self._owner]
        if orphans:
            raise ValueError(
                f"No player owns the variables {orphans[:5]}"
                f"{' ...' if len(orphans) > 5 else ''}. Every trained layer "
                "must be among the `player_layers` of one of the players "
                f"{self.players}."
            )


def resolve_optimizer(optimizer, ownership):
    """One optimizer from one optimizer or a dict by player.

    A dict becomes `keras.optimizers.MultiOptimizer`, which is one optimizer
    to everything downstream: saving, loss scaling, accumulation, EMA. A single
    optimizer is passed through untouched.
    """
    if optimizer is None:
        raise ValueError(
            "`optimizer` must be a name, a `keras.optimizers.Optimizer` or a "
            "dict with one for every player. Received: optimizer=None"
        )
    if not isinstance(optimizer, dict):
        return optimizer
    players = ownership.players
    if set(optimizer) != set(players):
        raise ValueError(
            "A dict of optimizers needs one for every player. Expected: "
            f"{sorted(players)}. Received: {sorted(optimizer)}"
        )
    if len(optimizer) == 1:
        return next(iter(optimizer.values()))
    optimizers = [keras.optimizers.get(optimizer[p]) for p in players]
    if len({id(o) for o in optimizers}) < len(optimizers):
        raise ValueError(
            "The players must not share an optimizer object: pass one of "
            f"their own. Received: {optimizer}"
        )
    ownership.optimizers = dict(zip(players, optimizers, strict=True))
    return keras.optimizers.MultiOptimizer(_ByOwner(optimizers, ownership))


class _ByOwner:
    """Routes by identity: two presets may share every variable path."""

    def __init__(self, optimizers, ownership):
        self.optimizers = optimizers
        self.ownership = ownership

    def __call__(self, variable):
        return self.optimizers[self.ownership.player_of(variable)]

    def values(self):
        return self.optimizers
