"""`compile` for models that return logits."""

import types

import keras

from keras_xkd.utils.role_metrics import resolve_metric
from keras_xkd.utils.task_loss import resolve_task_loss


class ReadsLogits:
    """A mixin of models: a loss or a metric given by name reads logits."""

    _arguments = None

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        resolved = dict(kwargs)
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name):
                resolved[name] = keras.tree.map_structure(
                    resolve_metric, kwargs[name]
                )
        super().compile(optimizer, resolve_task_loss(loss), **resolved)
        # Not a dict: Keras would take the metrics in it for parts of the model.
        self._arguments = types.SimpleNamespace(
            optimizer=optimizer, loss=loss, **kwargs
        )

    def get_compile_config(self):
        if self._arguments is None:
            return {}
        return keras.saving.serialize_keras_object(vars(self._arguments))

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
