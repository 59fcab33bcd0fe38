"""What `compile` was given, kept so that a loaded model is compiled again."""

import types
from typing import Any

import keras


class CompileArguments:
    """A mixin of models with a `compile` of their own, which calls this one's
    `keep_arguments`."""

    _arguments: types.SimpleNamespace | None = None

    def keep_arguments(self, **arguments: Any) -> None:
        # Not a dict: Keras would take the metrics in it for parts of the model.
        self._arguments = types.SimpleNamespace(**arguments)

    def get_compile_config(self) -> dict[str, Any]:
        if self._arguments is None:
            return {}
        return keras.saving.serialize_keras_object(vars(self._arguments))

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
