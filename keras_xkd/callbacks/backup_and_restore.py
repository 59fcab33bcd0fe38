from typing import Any

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.callbacks.first_process import FirstProcess
from keras_xkd.typing import PathLike


@keras_xkd_export("keras_xkd.callbacks.BackupAndRestore")
class BackupAndRestore(FirstProcess, keras.callbacks.BackupAndRestore):
    """`keras.callbacks.BackupAndRestore` for one or several processes.

    All processes read the backup when training begins, so that all go on with
    the same epoch; only the first one writes it. `backup_dir` must be a folder
    that all of them see. The number of processes and devices may be another
    one when training goes on.

    Example:

    ```python
    distiller.fit(
        data,
        epochs=100,
        callbacks=[keras_xkd.callbacks.BackupAndRestore("/shared/backup")],
    )
    ```

    Args:
        backup_dir: Folder of the backup.
        double_checkpoint: Whether the backup before the last one is kept, for
            the case that training was killed while the last was written. True
            is our default.
        **kwargs: Further arguments of `keras.callbacks.BackupAndRestore`.
    """

    def __init__(
        self,
        backup_dir: PathLike,
        *,
        double_checkpoint: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            backup_dir, double_checkpoint=double_checkpoint, **kwargs
        )
