"""`compile` for models that return logits."""

import inspect
import types

import keras

from keras_xkd.utils.role_metrics import resolve_metric
from keras_xkd.utils.task_loss import resolve_task_loss


class ReadsLogits:
    """A mixin of models: a loss or a metric given by name reads logits."""

    _arguments = None

    def compile(self, *args, **kwargs):
        signature = inspect.signature(keras.Model.compile)
        given = signature.bind(self, *args, **kwargs).arguments
        given = {n: v for n, v in given.items() if n not in ("self", "kwargs")}
        resolved = {**given, "loss": resolve_task_loss(given.get("loss"))}
        for name in ("metrics", "weighted_metrics"):
            if given.get(name):
                resolved[name] = keras.tree.map_structure(
                    lambda m: None if m is None else resolve_metric(m),
                    given[name],
                )
        super().compile(**resolved)
        # Not a dict: Keras would take the metrics in it for parts of the model.
        self._arguments = types.SimpleNamespace(**given)

    def get_compile_config(self):
        if self._arguments is None:
            return {}
        return keras.saving.serialize_keras_object(vars(self._arguments))

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
