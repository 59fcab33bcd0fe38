import dataclasses
import functools

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.datasets import media
from keras_xkd.datasets.media_choices import check_times
from keras_xkd.datasets.media_choices import pair
from keras_xkd.datasets.multimodal_config import MultimodalConfig


@dataclasses.dataclass(kw_only=True)
class MediaConfig(MultimodalConfig):
    """How media files become arrays.

    Args:
        frame_rate: Video frames per second.
        image_size: Height and width of frames, images and depth maps: a pair,
            or a number for both.
        sample_rate: Samples of sound per second; channels are averaged.
        max_seconds: How much of a clip is read, from its start. None for all.
    """

    frame_rate: float = 4.0
    image_size: int | tuple = 112
    sample_rate: int = 16_000
    max_seconds: float | None = None

    def __post_init__(self):
        check_times(
            0,
            frame_rate=self.frame_rate,
            sample_rate=self.sample_rate,
            max_seconds=self.max_seconds,
        )
        if None in (self.frame_rate, self.sample_rate, self.image_size):
            raise ValueError(
                "`frame_rate`, `sample_rate` and `image_size` must be given, "
                f"so that samples fit together. Received: {self}"
            )
        pair(self.image_size)
        super().__post_init__()

    def feature(self, kind):
        """The tensorflow-datasets feature of a kind of modality."""
        height, width = pair(self.image_size)
        if kind == "video":
            frame = tfds.features.Image(shape=(height, width, 3))
            return tfds.features.Sequence(frame)
        if kind == "audio":
            return tfds.features.Tensor(shape=(None,), dtype=np.float32)
        if kind == "image":
            return tfds.features.Image(shape=(height, width, 3))
        if kind == "depth":
            # As an image, it could not be read without OpenCV.
            return tfds.features.Tensor(
                shape=(height, width, 1), dtype=np.uint16, encoding="zlib"
            )
        return tfds.features.Text()

    def reader(self, kind, path, start=0.0, end=None):
        """A function without arguments that reads a file."""
        seconds = self.max_seconds
        if end is not None:
            seconds = min(end - start, seconds or end - start)
        part = {"start": start, "seconds": seconds}
        size = self.image_size
        match kind:
            case "video":
                read, kwargs = (
                    media.read_video,
                    part
                    | {
                        "frame_rate": self.frame_rate,
                        "size": size,
                    },
                )
            case "audio":
                read, kwargs = (
                    media.read_audio,
                    part | {"sample_rate": self.sample_rate},
                )
            case "image":
                read, kwargs = media.read_image, {"size": size}
            case "depth":
                read, kwargs = media.read_depth, {"size": size}
            case "text":
                read, kwargs = media.read_text, {}
        return functools.partial(read, path, **kwargs)
