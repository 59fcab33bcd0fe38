import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.media_config import MediaConfig
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.datasets.ucf101_classes import UCF51_CLASSES
from keras_xkd.datasets.ucf101_classes import UCF101_CLASSES

SUBSETS = {"ucf101": UCF101_CLASSES, "ucf51": UCF51_CLASSES}
FOLDERS = ("UCF-101", "ucfTrainTestlist")


@dataclasses.dataclass(kw_only=True)
class UCF101Config(MediaConfig):
    subset: str = "ucf101"
    fold: int = 1

    def __post_init__(self):
        if self.subset not in SUBSETS or self.fold not in (1, 2, 3):
            raise ValueError(
                f"`subset` must be one of {list(SUBSETS)} and `fold` 1, 2 or "
                f"3. Received: subset={self.subset!r}, fold={self.fold!r}"
            )
        super().__post_init__()


@keras_xkd_export("keras_xkd.datasets.UCF101")
class UCF101(MultimodalBuilder):
    """Clips of 101 actions from YouTube: video, and sound where there is any.

    13,320 clips in 101 classes. The clips of 51 classes came with their sound,
    those of the other 50, which had been published before as UCF50, without:
    `subset="ucf51"` has the classes with sound only.

    Get `UCF101.rar` and `UCF101TrainTestSplits-RecognitionTask.zip` from
    https://www.crcv.ucf.edu/data/UCF101.php and unpack both:

    ```
    <manual_dir>/UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi ...
    <manual_dir>/ucfTrainTestlist/classInd.txt
                                  trainlist01.txt ... testlist03.txt
    ```

    Licence: the page states none; the clips belong to those who uploaded them.

    An example has `video`, `audio`, `label`, `name` and `present`: whether
    there is a track of sound. Splits are the official lists, `train` and
    `test`, of one `fold`. They keep clips of one scene together. The authors
    give no validation split; clips of one scene have the same group in their
    name (`_g08_`), so take whole groups for one.

    tensorflow-datasets has a builder `ucf101` of its own, without sound. This
    one is called `ucf101_audio_video` there; `keras_xkd.datasets.builder` and
    `keras_xkd.data.load` take it for `"ucf101"`.

    Args:
        subset: `"ucf101"`, or `"ucf51"` for the classes with sound.
        fold: Which of the three official divisions: 1, 2 or 3.
        frame_rate: Video frames per second. Defaults to 4.
        image_size: Height and width of a frame, or a number for both. Defaults
            to 112.
        sample_rate: Samples of sound per second. Defaults to 16,000.
        max_seconds: How much of a clip is read; None, the default, for all.
        **kwargs: Arguments of `keras_xkd.datasets.MultimodalBuilder`:
            `manual_dir`, `on_error`, `data_dir`...

    Example:

    ```python
    builder = keras_xkd.datasets.UCF101(
        manual_dir="downloads/ucf", subset="ucf51", fold=1
    )
    builder.download_and_prepare()
    train = builder.as_data_source("train")
    ```
    """

    name = "ucf101_audio_video"
    HOMEPAGE = "https://www.crcv.ucf.edu/data/UCF101.php"
    CITATION = """@techreport{soomro2012ucf101,
  title={{UCF101}: A Dataset of 101 Human Actions Classes From Videos in The
         Wild},
  author={Soomro, Khurram and Zamir, Amir Roshan and Shah, Mubarak},
  institution={Center for Research in Computer Vision, University of Central
               Florida},
  number={CRCV-TR-12-01},
  year={2012}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Download UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip "
        "from https://www.crcv.ucf.edu/data/UCF101.php and unpack them to "
        "UCF-101/ and ucfTrainTestlist/."
    )
    BUILDER_CONFIGS = [UCF101Config()]

    def features(self) -> tfds.features.FeatureConnector:
        config = self.builder_config
        return tfds.features.FeaturesDict(
            {
                "video": config.feature("video"),
                "audio": config.feature("audio"),
                "label": tfds.features.ClassLabel(names=SUBSETS[config.subset]),
                "name": tfds.features.Text(),
                "present": {
                    "video": tfds.features.Scalar(dtype=np.bool_),
                    "audio": tfds.features.Scalar(dtype=np.bool_),
                },
            }
        )

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        for name in FOLDERS:
            if not (folder / name).is_dir():
                raise DataFileError(
                    folder / name,
                    "expected this folder. "
                    + self.MANUAL_DOWNLOAD_INSTRUCTIONS,
                )
        fold = self.builder_config.fold
        return {
            split: self._clips(folder, f"{split}list0{fold}.txt")
            for split in ("train", "test")
        }

    def _clips(self, folder, name):
        """The clips of one list, whose lines are `class/clip.avi [number]`."""
        config = self.builder_config
        path = folder / "ucfTrainTestlist" / name
        if not path.is_file():
            raise DataFileError(path, "the list is missing")
        clips = []
        for line in path.read_text().splitlines():
            if not line.strip():
                continue
            clip = folder / "UCF-101" / line.split()[0]
            label = clip.parent.name
            if label not in UCF101_CLASSES:
                raise DataFileError(path, f"{line!r} is of no known class")
            if label in SUBSETS[config.subset]:
                example = {
                    "video": config.reader("video", clip),
                    "audio": config.reader("audio", clip),
                    "label": label,
                    "name": clip.stem,
                }
                clips.append((clip.stem, example))
        return clips
