from typing import Any
from typing import Literal

import numpy as np

from keras_xkd.distillers.ume import UME
from keras_xkd.distillers.umt import UMT
from keras_xkd.models.late_fusion import LateFusion
from keras_xkd.typing import Networks

RESAMPLES = 10_000
CHOICES = ("UME", "UMT")


class LateFusionChoice:
    """What `choose_late_fusion` found; see there for the attributes.

    Args:
        models: The uni-modal models by name.
        ensemble: Which samples the averaged predictions get right, Booleans.
        probe: The same of the linear classifier.
        unimodal: Accuracies of the models by name.
        seed: Seed of the bootstrap.
    """

    def __init__(
        self,
        models: Networks,
        ensemble: np.ndarray,
        probe: np.ndarray,
        unimodal: dict[str, float],
        seed: int = 0,
    ) -> None:
        self.models = models
        self.unimodal = unimodal
        self.samples = n = len(ensemble)
        self.ensemble = float(ensemble.mean())
        self.probe = float(probe.mean())
        # To draw samples again is to draw among the four kinds that there
        # are: both right, one of them, the other, none.
        kinds = [
            np.sum(ensemble & probe),
            np.sum(ensemble & ~probe),
            np.sum(~ensemble & probe),
            np.sum(~ensemble & ~probe),
        ]
        draws = np.random.default_rng(seed).multinomial(
            n, np.divide(kinds, n), RESAMPLES
        )
        a = (draws[:, 0] + draws[:, 1]) / n
        b = (draws[:, 0] + draws[:, 2]) / n
        self.ensemble_spread = float(a.std())
        self.probe_spread = float(b.std())
        low, high = np.quantile(b - a, [0.025, 0.975])
        self.interval = (float(low), float(high))
        self.rule: Literal["UME", "UMT"] = (
            "UMT" if self.probe > self.ensemble else "UME"
        )
        self.choice = "UMT" if low > 0 else "UME"

    @property
    def choice(self) -> Literal["UME", "UMT"]:
        return self._choice

    @choice.setter
    def choice(self, value: Literal["UME", "UMT"]) -> None:
        if value not in CHOICES:
            raise ValueError(
                f"`choice` must be one of {list(CHOICES)}. Received: {value!r}"
            )
        self._choice = value

    def build(
        self, student: LateFusion | None = None, **kwargs: Any
    ) -> UME | UMT:
        """The `UME` of the models, or a `UMT` that they teach.

        Args:
            student: The `LateFusion` to train; not used by UME.
            **kwargs: Further arguments of `UME` or `UMT`.
        """
        if self.choice == "UME":
            return UME(models=self.models, **kwargs)
        if student is None:
            raise ValueError(
                "UMT needs a student to train: `build(LateFusion(...))`. "
                "Received: student=None"
            )
        return UMT(student=student, teachers=self.models, **kwargs)

    def __repr__(self) -> str:
        width = max(len("linear probe (B)"), *map(len, self.unimodal))
        low, high = self.interval
        alone = [
            f"  {name:<{width}}  {value:.3f}"
            for name, value in self.unimodal.items()
        ]
        return "\n".join(
            [
                f"Late fusion: {self.choice}",
                *alone,
                f"  {'average (A)':<{width}}  {self.ensemble:.3f} "
                f"+- {self.ensemble_spread:.3f}",
                f"  {'linear probe (B)':<{width}}  {self.probe:.3f} "
                f"+- {self.probe_spread:.3f}",
                f"  {'B - A':<{width}} {self.probe - self.ensemble:+.3f}, "
                f"95 % interval {low:+.3f} to {high:+.3f}",
                f"  Accuracy on {self.samples} validation samples; by B > A "
                f"alone: {self.rule}.",
            ]
        )
