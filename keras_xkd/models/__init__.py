"""Networks, and tools that make networks."""

from keras_xkd.models.late_fusion import LateFusion
from keras_xkd.models.linear_probe import LinearProbe
from keras_xkd.models.prompted_clip import PromptedCLIP
from keras_xkd.models.tap import tap

__all__ = [
    "LateFusion",
    "LinearProbe",
    "PromptedCLIP",
    "tap",
]
