import contextlib
import warnings
from typing import Any

import keras


class QuietReading:
    """A mixin of models: no warnings about data sets that are as they should.

    Keras says that `shuffle=True` "was passed" where nobody passed it; and
    that a Grain data set, which it does not ask for its length, ran out of
    data, at the end of the first epoch.
    """

    def fit(
        self, x: Any = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        with _quiet(x, kwargs):
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        with _quiet(x, kwargs):
            return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        with _quiet(x, kwargs):
            return super().predict(x, *args, **kwargs)


@contextlib.contextmanager
def _quiet(x, given):
    with warnings.catch_warnings():
        if "shuffle" not in given:
            warnings.filterwarnings("ignore", "`shuffle=True` was passed")
        ends = not given.get("steps_per_epoch") and not given.get("steps")
        if ends and any(
            c.__module__.startswith("grain.") for c in type(x).__mro__
        ):
            warnings.filterwarnings("ignore", "Your input ran out of data")
        yield
