import importlib.util
import io
import os
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import by_itself
from keras_xkd.backend import is_first_process
from keras_xkd.callbacks import event_summary
from keras_xkd.callbacks import projector
from keras_xkd.utils import overview
from keras_xkd.visualization import canvas


@keras_xkd_export("keras_xkd.callbacks.TensorBoard")
class TensorBoard(keras.callbacks.TensorBoard):
    """`keras.callbacks.TensorBoard` for distillers, on every backend.

    Beside what Keras writes, which has every term under the name of its log
    (`epoch_distillation_loss`), there are

    - `epoch_<term>_loss_weight`, the weights of the terms;
    - `epoch_learning_rate_<player>`, the learning rate of every player;
    - the student's features for the projector, with labels;
    - figures of matplotlib, as images.

    The files are written by TensorFlow, which has to be installed on every
    backend; the package tensorboard is needed to look at them, and for
    histograms: `tensorboard --logdir logs`. Of several processes the first
    one writes.

    Example:

    ```python
    board = keras_xkd.callbacks.TensorBoard(
        "logs",
        embeddings={"test": (x_test, y_test)},
        figures=lambda distiller, epoch: {
            "confusion": plot_confusion(
                y_test, distiller.predict(x_test, verbose=0).argmax(-1)
            )
        },
        freq=5,
    )
    distiller.fit(x, y, epochs=20, callbacks=[board])
    ```

    Args:
        log_dir: Folder of the files.
        embeddings: A dict `{name: x}` or `{name: (x, y)}` of arrays. The
            features are the entry `"features"` of what the student returns, of
            a classifier what its last layer reads, averaged over positions.
            They are written over in the course of training.
        figures: A function `(distiller, epoch)` that returns a dict
            `{name: figure}`; the epoch is counted from 0.
        freq: Embeddings and figures are written in the last of every `freq`
            epochs, and embeddings also when training ends.
        **kwargs: Further arguments of `keras.callbacks.TensorBoard`.

    Raises:
        ImportError: If TensorFlow is missing, or what an argument needs.
        ValueError: If an argument is not of its kind, or if a network's
            features cannot be found when training begins.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        *,
        embeddings: Mapping[str, Any] | None = None,
        figures: Callable[[keras.Model, int], Mapping[str, Any]] | None = None,
        freq: int = 1,
        **kwargs: Any,
    ) -> None:
        event_summary.check_tensorflow()
        if not isinstance(embeddings, Mapping | None):
            raise ValueError(
                "`embeddings` must be a dict `{name: x}` or `{name: (x, y)}`. "
                f"Received: {type(embeddings).__name__}"
            )
        if figures is not None and not callable(figures):
            raise ValueError(
                "`figures` must be a function `(distiller, epoch)` that "
                f"returns a dict of figures. Received: {type(figures).__name__}"
            )
        if not isinstance(freq, int) or freq < 1:
            raise ValueError(
                "`freq` must be a number of epochs, 1 or more. "
                f"Received: {freq}"
            )
        for name in ("histogram_freq", "embeddings_freq"):
            if kwargs.get(name) and not importlib.util.find_spec("tensorboard"):
                raise ImportError(
                    f"`{name}` needs the package tensorboard, which is not "
                    "installed: `pip install tensorboard`.",
                    name="tensorboard",
                )
        if figures is not None:
            canvas.check_matplotlib()
        super().__init__(log_dir, **kwargs)
        self.figures = figures
        self.freq = freq
        self._samples, self._labels = {}, {}
        for name, data in (embeddings or {}).items():
            x, y = data if isinstance(data, tuple) else (data, None)
            self._samples[name] = x
            if y is None:
                continue
            self._labels[name] = np.asarray(y)
            samples = len(keras.tree.flatten(x)[0])
            if self._labels[name].shape[:1] != (samples,):
                raise ValueError(
                    f"The embeddings '{name}' must have one label for each of "
                    f"the {samples} samples. Received: labels of shape "
                    f"{self._labels[name].shape}"
                )
        self._events: event_summary.EventSummary | None = None
        self._features: projector.Features | None = None

    @property
    def summary(self) -> event_summary.EventSummary:
        """What Keras calls to write."""
        if self._events is None:
            self._events = event_summary.EventSummary(is_first_process())
        return self._events

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._samples:  # Says at once if there are no features.
            self._features = projector.Features(self.model)
        super().on_train_begin(logs)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = dict(logs or {})
        for player, rate in overview.learning_rates(self.model).items():
            logs[f"learning_rate_{player}"] = rate
        weights = overview.asked(self.model, "loss_weights", {})
        for term, weight in weights.items():
            logs[f"{term}_loss_weight"] = weight
        super().on_epoch_end(epoch, logs)
        if (epoch + 1) % self.freq == 0:
            self._write_embeddings()
            self._write_figures(epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write_embeddings()
        super().on_train_end(logs)

    def _write_embeddings(self):
        if self._samples and is_first_process():
            with by_itself():
                found = {n: self._features(x) for n, x in self._samples.items()}
            projector.write(self._train_dir, found, self._labels)

    def _write_figures(self, epoch):
        if self.figures is None or not is_first_process():
            return
        with by_itself():
            figures = self.figures(self.model, epoch)
        with self._train_writer.as_default():
            for name, figure in figures.items():
                image = io.BytesIO()
                figure.savefig(image, format="png")
                self.summary.png(name, image.getvalue(), step=epoch)
        self._train_writer.flush()
