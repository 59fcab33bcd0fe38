import datetime
import os
import pathlib
import time
import types
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import by_itself
from keras_xkd.backend import is_first_process
from keras_xkd.callbacks import report_page
from keras_xkd.utils import described
from keras_xkd.utils import overview
from keras_xkd.visualization import canvas

# Training must not wait for pages: they get a tenth of the time.
SHARE = 0.1


@keras_xkd_export("keras_xkd.callbacks.RunReport")
class RunReport(keras.callbacks.Callback):
    """Writes one HTML page about a training: to look at, to keep, to send.

    The page has the data, the networks with what they read, the terms with
    their weights, players and optimizers, curves, final numbers, versions, the
    seed and the command; and a comparison, diagnostics and figures, if you give
    any. It needs nothing but itself: no network, no scripts.

    It is written after the first epoch and brought up to date while training
    goes on, in about a tenth of the time. If training stops by an error or by
    Ctrl-C, the page says so, and has all epochs until then. It also reports on
    models that are no distillers; of these it does not learn what `fit` was
    given, nor that training was interrupted. Of several processes the first one
    writes.

    Example:

    ```python
    report = keras_xkd.callbacks.RunReport(
        "report.html",
        title="Images teach sounds",
        notes="Pairs were made by matching the digit.",
        diagnostics={  # Called when training ends.
            "Missing modalities": lambda distiller: modality_subsets(
                distiller, x_test, y_test
            ),
        },
    )
    distiller.fit(x, y, epochs=10, callbacks=[report])
    report.comparison = {"from scratch": [0.81, 0.83], "student": [0.9, 0.91]}
    report.write(distiller)  # Once more, with what is known now.
    ```

    Args:
        path: The HTML file; its folder is made.
        title: The heading, by default the name of the method.
        data: What the page says of the data: `x`, `(x, y)` or
            `(x, y, sample_weight)`, of which shapes and data types are shown.
            By default what `fit` gets, of whatever kind it is.
        comparison: Scores of several networks, `{row: [one number per seed]}`.
        diagnostics: Results of `keras_xkd.diagnostics`, or whatever prints
            itself, a dict `{title: result}`. Where there is a method `plot`,
            its picture is shown too.
        figures: Further figures of matplotlib, a dict `{title: figure}`.
        metric: What the numbers of `comparison` are.
        chance: What guessing would score in `comparison`.
        seed: The seed, by default that of `keras.utils.set_random_seed`.
        notes: Text for the top of the page.

    In the place of `comparison`, and of each entry of `diagnostics` and
    `figures`, there may be a function of the model that returns it; it is
    called when training ends, and by `write`.

    Raises:
        ImportError: If there is no matplotlib.
        ValueError: If `path` is no file, or an argument is no dict.
    """

    # Made anew for each training.
    state: str
    epochs: list[int]
    logs: dict[str, list[float]]
    _due: float

    def __init__(
        self,
        path: str | os.PathLike,
        title: str | None = None,
        *,
        data: Any = None,
        comparison: Mapping[str, Any] | Callable | None = None,
        diagnostics: Mapping[str, Any] | None = None,
        figures: Mapping[str, Any] | None = None,
        metric: str = "accuracy",
        chance: float | None = None,
        seed: int | None = None,
        notes: str | None = None,
    ) -> None:
        super().__init__()
        canvas.check_matplotlib()
        self.path = pathlib.Path(path)
        if self.path.is_dir():
            raise ValueError(
                "`path` must be a file, such as 'report.html'. Received the "
                f"folder: path={str(path)!r}"
            )
        for name, value in {
            "comparison": None if callable(comparison) else comparison,
            "diagnostics": diagnostics,
            "figures": figures,
        }.items():
            if not isinstance(value, Mapping | None):
                raise ValueError(
                    f"`{name}` must be a dict with a title for each entry. "
                    f"Received: {type(value).__name__}"
                )
        self.title = title
        self.comparison = comparison
        self.diagnostics = diagnostics or {}
        self.figures = figures or {}
        self.metric = metric
        self.chance = chance
        self.seed = seed
        self.notes = notes
        self._data = None if data is None else _about(data)
        self._fit: dict[str, Any] = {}
        self._given: dict[str, Any] = {}  # To the `fit` that is to begin.
        self._restart()

    def write(self, model: keras.Model, history: Any = None) -> pathlib.Path:
        """Writes the page now, with or without a training.

        Args:
            model: The distiller, or any Keras model.
            history: What `fit` returned, its dict, or a list of either, with
                one for each seed. By default what this callback saw, or else
                the model's last training.

        Returns:
            The path of the page.
        """
        if history is None and self.state == "not trained":
            history = getattr(model, "history", None)
            if not isinstance(history, keras.callbacks.History):
                history = None
        if history is None:
            history = types.SimpleNamespace(
                history=self.logs, epoch=self.epochs
            )
        facts = types.SimpleNamespace(
            model=model,
            history=history,
            data=self._data or self._fit,
            seen=overview.asked(model, "batch_seen"),
            state=self.state,
            planned=self.params.get("epochs") if self.params else None,
            steps=self.params.get("steps") if self.params else None,
            started=self.started,
            seconds=self.seconds,
            rates=self.rates,
            finished=self.state != "running",
            options=self,
        )
        page = report_page.page(facts)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever looks at the page meanwhile sees the old one or the new one.
        part = self.path.with_name(f".{self.path.name}.part")
        part.write_text(page, encoding="utf-8")
        part.replace(self.path)
        return self.path

    # Called by `fit` of a distiller.

    def on_fit_begin(self, given: dict[str, Any]) -> None:
        """Hears what `fit` was given; keeps shapes, not data."""
        self._given = _about(
            (given.get("x"), given.get("y"), given.get("sample_weight")),
            given,
        )

    def on_fit_error(self, error: BaseException) -> None:
        """Hears that training stops by an error or an interruption."""
        if self.state != "running":
            return  # It had not begun, or was over.
        self._took = self.seconds
        self.state = f"stopped by {type(error).__name__}"
        if str(error):
            self.error = str(error)
        self._write_or_warn()

    # Called by Keras.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._restart()
        self._fit, self._given = self._given, {}
        self.state = "running"
        self.started = datetime.datetime.now().astimezone()
        self._clock = time.monotonic()
        self.rates = [overview.learning_rates(self.model)]

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.epochs.append(epoch)
        for name, value in (logs or {}).items():
            value = float(np.mean(value))  # Of a metric by class.
            self.logs.setdefault(name, []).append(value)
        self.rates = [self.rates[0], overview.learning_rates(self.model)]
        if time.monotonic() >= self._due:
            begin = time.monotonic()
            self._write_or_warn()
            now = time.monotonic()
            self._due = now + (now - begin) * (1 / SHARE - 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.state, self._took = "finished", self.seconds
        self._write_or_warn()

    def _restart(self):
        self.state, self.error = "not trained", None
        self.started, self._clock, self._due = None, None, 0.0
        self._took = None
        self.epochs, self.logs, self.rates = [], {}, [{}]
        self.params = self.params or {}

    @property
    def seconds(self) -> float | None:
        """How long training took, or has taken so far."""
        if self._took is not None:
            return self._took
        return None if self._clock is None else time.monotonic() - self._clock

    def _write_or_warn(self):
        """A page that cannot be written must not end a training."""
        if not is_first_process():
            return
        try:
            with by_itself():
                self.write(self.model)
        except Exception as error:
            warnings.warn(
                f"The report {self.path} was not written: "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )


def _about(data, given=None):
    """What is to be said of data, without keeping them."""
    given = given or {}
    x = data[0] if isinstance(data, (list, tuple)) else data
    about = {"sizes": described.sizes(x), "specification": None}
    if about["sizes"]["kind"] == "arrays":
        about["specification"] = described.specification(data)
    about["batch_size"] = given.get("batch_size")
    validation = given.get("validation_data")
    if validation is not None:
        first = validation
        if isinstance(validation, (list, tuple)):
            first = validation[0]
        about["validation"] = described.sizes(first)
    elif given.get("validation_split"):
        about["validation"] = {"share": given["validation_split"]}
    return about
