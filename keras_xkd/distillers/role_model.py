from typing import Any

import keras

from keras_xkd.backend import no_gradient
from keras_xkd.typing import DTypeLike, Modalities, Role, Tensor
from keras_xkd.utils.made_of_parts import MadeOfParts
from keras_xkd.utils.modalities import MissingModalityError
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.outputs import Outputs
from keras_xkd.utils.roles import check_roles
from keras_xkd.utils.roles import name_networks


class RoleModel(MadeOfParts, keras.Model):
    """A model made of networks that play roles, some of which never learn.

    See `Distiller`, which trains it.
    """

    main: str = "student"
    frozen: tuple[str, ...] = ("teacher",)

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        **roles: Role,
    ) -> None:
        check_roles(roles, type(self))
        # Every network casts its own inputs.
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.readout = Outputs()
        self.roles: dict[str, Any] = {
            r: n for r, n in roles.items() if n is not None
        }
        self.named = name_networks(self.roles)
        for role in roles:
            setattr(self, role, self.roles.get(role))
        if self.main not in self.roles:
            raise ValueError(
                f"{type(self).__name__} needs a `{self.main}`. Received the "
                f"roles {sorted(self.roles)}"
            )
        self.built = True

    def add_role(self, role: str, networks: Role) -> None:
        """Adds what can be made only when the other roles are checked."""
        self.roles = {**self.roles, role: networks}
        self.named = name_networks(self.roles)
        setattr(self, role, networks)

    def networks(self, role: str) -> list[keras.layers.Layer]:
        """The networks of a role, as a list."""
        return keras.tree.flatten(self.roles.get(role, []))

    def run(
        self, role: str, x: Modalities, training: bool
    ) -> dict[str, Tensor]:
        """Runs a trained network on its modalities.

        Args:
            role: Name of a network: its role, its key if the role holds a
                dict, `<role>_<i>` if the role holds a list.
            x: A batch, of which the network gets what it reads.
            training: Passed on to the network. A frozen one does not train:
                `ask` runs it.

        Returns:
            A dict of outputs; a single tensor becomes `{"logits": tensor}`.
        """
        if role not in self.named:
            raise ValueError(
                f"There is no network '{role}'. Received the names "
                f"{sorted(self.named)}"
            )
        network = self.named[role]
        if training and any(network is other for other in self._frozen()):
            raise ValueError(
                f"'{role}' is frozen: run it by `ask`, or with "
                "`training=False` if a gradient is to pass through it. "
                f"Received: training={training}"
            )
        try:
            inputs = select_modalities(x, network)
        except MissingModalityError as error:
            raise MissingModalityError(f"The {role}: {error}") from None
        return self.readout.run(network, inputs, training)

    def ask(self, role: str, x: Modalities) -> dict[str, Tensor]:
        """Runs a frozen network: in inference mode and without gradient."""
        return no_gradient(self.run, role, x, training=False)

    def call(self, x: Modalities, training: bool | None = None) -> Outputs:
        """The own output of the main network, such as the student."""
        network = self.roles[self.main]
        inputs = select_modalities(x, network)
        return network(inputs, training=training)

    def idle_layers(self) -> list[keras.layers.Layer]:
        """Layers of this model that the compiled objective does not use."""
        return []

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return self._without_frozen(super().trainable_variables)

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        trained = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trained]

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return self._without_frozen(super().trainable_weights)

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    def frozen_ids(self) -> set[int]:
        """The variables of the frozen roles, by identity."""
        return {id(v) for network in self._frozen() for v in network.variables}

    def _frozen(self):
        return [n for role in self.frozen for n in self.networks(role)]

    def _without_frozen(self, variables):
        left_out = self.frozen_ids()
        left_out |= {id(v) for n in self.idle_layers() for v in n.variables}
        return [v for v in variables if id(v) not in left_out]

    def get_config(self) -> dict[str, Any]:
        self._check_separate()
        config = {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }
        for role, networks in self.roles.items():
            config[role] = keras.tree.map_structure(
                keras.saving.serialize_keras_object, networks
            )
        return config

    def _check_separate(self):
        """Keras would write a file that cannot be loaded."""
        seen = {}
        for name, network in self.named.items():
            for variable in network.variables:
                other = seen.setdefault(id(variable), name)
                if other != name:
                    raise ValueError(
                        f"'{other}' and '{name}' share the variable "
                        f"'{variable.path}', and a saved Keras model does not "
                        "restore what its parts share. Save the student by "
                        "itself, `distiller.student.save(...)`, or the weights."
                    )
