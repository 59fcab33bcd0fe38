"""Networks, and tools that make networks."""

from keras_xkd.models.audio_encoder import audio_encoder
from keras_xkd.models.encoder import Encoder
from keras_xkd.models.image_encoder import image_encoder
from keras_xkd.models.late_fusion import LateFusion
from keras_xkd.models.linear_probe import LinearProbe
from keras_xkd.models.prompted_clip import PromptedCLIP
from keras_xkd.models.tap import tap
from keras_xkd.models.text_encoder import text_encoder
from keras_xkd.models.video_encoder import video_encoder

__all__ = [
    "Encoder",
    "LateFusion",
    "LinearProbe",
    "PromptedCLIP",
    "audio_encoder",
    "image_encoder",
    "tap",
    "text_encoder",
    "video_encoder",
]
