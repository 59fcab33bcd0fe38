"""Models that a configuration of serialised parts makes again."""

from typing import Any
from typing import Self

import keras


class MadeOfParts:
    """A mixin of models whose constructor takes what `get_config` says."""

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict | None = None
    ) -> Self:
        def restore(value):
            return keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )

        return cls(**{key: restore(value) for key, value in config.items()})
