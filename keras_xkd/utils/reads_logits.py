"""`compile` for models that return logits."""

import inspect
from typing import Any

import keras

from keras_xkd.backend import check_keras_distribution
from keras_xkd.utils.compile_arguments import CompileArguments
from keras_xkd.utils.role_metrics import resolve_metric
from keras_xkd.utils.task_loss import resolve_task_loss


class ReadsLogits(CompileArguments):
    """A mixin of models: a loss or a metric given by name reads logits."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        check_keras_distribution()
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
        self.keep_arguments(**given)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        super().compile_from_config(config)
        self.optimizer.build(self.trainable_variables)
