import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import is_first_process


@keras_xkd_export("keras_xkd.callbacks.StudentCheckpoint")
class StudentCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves the student alone, without its teachers.

    What is saved is the network that was passed as `student`: loading it
    needs neither the teacher nor this package. Of several processes the first
    one saves.

    Example:

    ```python
    distiller.fit(
        x,
        validation_data=validation,
        callbacks=[
            keras_xkd.callbacks.StudentCheckpoint(
                "student.keras", monitor="val_accuracy", save_best_only=True
            )
        ],
    )
    student = keras.models.load_model("student.keras")
    ```

    Args:
        filepath: Where to save, as in `keras.callbacks.ModelCheckpoint`.
        **kwargs: Further arguments of `keras.callbacks.ModelCheckpoint`.
    """

    @property
    def model(self):
        distiller = super().model
        return None if distiller is None else distiller.roles[distiller.main]

    def on_train_batch_end(self, batch, logs=None):
        if is_first_process():
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if is_first_process():
            super().on_epoch_end(epoch, logs)
