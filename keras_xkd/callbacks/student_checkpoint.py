import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.callbacks.first_process import FirstProcess


@keras_xkd_export("keras_xkd.callbacks.StudentCheckpoint")
class StudentCheckpoint(FirstProcess, keras.callbacks.ModelCheckpoint):
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
    def model(self) -> keras.layers.Layer | None:
        distiller = super().model
        return None if distiller is None else distiller.roles[distiller.main]
