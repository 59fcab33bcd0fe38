import keras


class InContext(keras.losses.Loss):
    """The same loss with its further arguments bound."""

    def __init__(self, loss, context):
        super().__init__(
            name=loss.name, reduction=loss.reduction, dtype=loss.dtype
        )
        self.loss = loss
        self.context = context

    def call(self, y_true, y_pred):
        return self.loss.call(y_true, y_pred, **self.context)
