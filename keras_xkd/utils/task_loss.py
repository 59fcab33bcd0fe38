"""What `compile(loss=...)` means for networks that return logits."""

import inspect

import keras


def resolve_task_loss(loss):
    """Returns a `keras.losses.Loss` that reads logits, or None.

    Networks return logits here, so a classification loss given by name reads
    logits: `"sparse_categorical_crossentropy"` on logits without that is
    16.1 where it should be 0.055.

    Raises:
        ValueError: If a loss object was made for probabilities.
    """
    if loss is None:
        return None
    if isinstance(loss, (list, tuple, dict)):
        raise ValueError(
            "`loss` is the one loss of the task: a name, a function or a "
            "`keras.losses.Loss`. Objectives between teacher and student go "
            f"into `distillation_loss`. Received: loss={loss}"
        )
    by_name = isinstance(loss, str)
    if by_name and loss in ("crossentropy", "ce"):
        raise ValueError(
            "Say which cross-entropy: 'sparse_categorical_crossentropy', "
            "'categorical_crossentropy' or 'binary_crossentropy'. "
            f"Received: loss='{loss}'"
        )
    loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        config = loss.get_config()
        if config.get("from_logits") is not False:
            return loss
        if by_name:
            return type(loss)(**{**config, "from_logits": True})
        name = type(loss).__name__
        raise ValueError(
            f"Networks return logits here: pass "
            f"`keras.losses.{name}(from_logits=True)`, and let the network "
            "end without a softmax or sigmoid. Received: "
            f"{name}(from_logits=False)"
        )
    return _FunctionLoss(loss)


def reads_logits(loss):
    """Whether a resolved loss compares classes with logits."""
    if isinstance(loss, _FunctionLoss):
        return loss.from_logits
    return bool(
        loss is not None
        and hasattr(loss, "get_config")
        and loss.get_config().get("from_logits")
    )


class _FunctionLoss(keras.losses.Loss):
    """A loss function as an object, reading logits where it can."""

    def __init__(self, fn):
        name = getattr(fn, "__name__", type(fn).__name__)
        super().__init__(name=name.strip("<>"))  # Of a lambda.
        self.fn = fn
        self.from_logits = "from_logits" in inspect.signature(fn).parameters

    def call(self, y_true, y_pred):
        kwargs = {"from_logits": True} if self.from_logits else {}
        y_true, y_pred = _same_rank(y_true, y_pred, self.from_logits)
        return self.fn(y_true, y_pred, **kwargs)


def _same_rank(y_true, y_pred, is_classification):
    """Labels `(batch,)` against predictions `(batch, 1)` must not broadcast."""
    if not is_classification or y_pred.shape[-1] == 1:
        if len(y_true.shape) == len(y_pred.shape) - 1:
            y_true = keras.ops.expand_dims(y_true, -1)
    return y_true, y_pred
