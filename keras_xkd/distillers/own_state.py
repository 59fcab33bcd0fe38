from typing import Any

import numpy as np

from keras_xkd.utils.random_state import random_states


class OwnState:
    """What is saved beside the networks: weights of terms, random states.

    A mixin of `Distiller`.
    """

    def save_own_variables(self, store: Any) -> None:
        for name, value in self.terms.weight_values().items():
            store[name] = np.asarray(value, "float32")
        for name, state in random_states(self).items():
            store[name] = state.numpy()

    def load_own_variables(self, store: Any) -> None:
        states = random_states(self)
        for name in store.keys():
            if name in self.terms.weights:
                self.terms.set_weight(name, float(np.asarray(store[name])))
            elif name in states:
                states[name].assign(np.asarray(store[name]))
