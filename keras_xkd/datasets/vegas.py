import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.datasets.multimodal_config import MultimodalConfig
from keras_xkd.datasets.one_file import OneFile
from keras_xkd.datasets.prepared_features import prepared_features
from keras_xkd.datasets.vegas_file import CLASSES
from keras_xkd.datasets.vegas_file import VEGASFile

FILES = ("vegas_feature.h5", "vegas_feature_norm.h5")
DEFAULT_KEYS = ("audio_{split}", "visual_{split}", "lab_{split}")
SHAPES = {"audio": (128,), "video": (1024,)}


@dataclasses.dataclass(kw_only=True)
class VEGASConfig(MultimodalConfig):
    """The choices of `VEGAS`."""

    file: str | None = None
    audio_key: str = DEFAULT_KEYS[0]
    video_key: str = DEFAULT_KEYS[1]
    label_key: str = DEFAULT_KEYS[2]

    def __post_init__(self):
        for name, key in self.keys().items():
            if "{split}" not in key:
                raise ValueError(
                    f"`{name}_key` must contain '{{split}}', in the place of "
                    f"'train' and 'test'. Received: {name}_key={key!r}"
                )
        if self.file is not None and ("/" in self.file or not self.file):
            raise ValueError(
                "`file` must be the name of a file in `manual_dir`. Received: "
                f"file={self.file!r}"
            )
        if not self.name:
            # What is left to its default has no part in the name.
            choices = [
                value.replace("{split}", "split").replace("/", "_")
                for value in self.choices().values()
                if value is not None and value not in DEFAULT_KEYS
            ]
            self.name = "-".join(["features", *choices])
        super().__post_init__()

    def keys(self):
        return {
            "audio": self.audio_key,
            "video": self.video_key,
            "label": self.label_key,
        }


@keras_xkd_export("keras_xkd.datasets.VEGAS")
class VEGAS(OneFile, MultimodalBuilder):
    """VEGAS: sound and pictures of 28,103 clips of 10 classes, as features.

    The benchmark of audio-visual cross-modal retrieval: clips of 2 to 10 s
    with baby cry, chainsaw, dog, drum, fireworks, helicopter, printer, rail
    transport, snoring or water flowing. Read from the feature file that the
    retrieval papers share.

    **Folder.** `manual_dir` has `vegas_feature.h5`, or
    `vegas_feature_norm.h5` with normalised features. If it has both, choose
    one with `file`. The first is linked from
    https://github.com/ZenzenDatabase/CMR.

    **Keys.** `audio_train`, `visual_train`, `lab_train`, `audio_test`,
    `visual_test` and `lab_test`: one row per clip, with 128 audio features
    (VGGish), 1,024 visual features (Inception) and the class, 0 to 9. The names
    of the keys, the widths and the number of classes are taken from published
    code that reads the file, not from the file itself, which was not at hand.
    If yours has others, give `audio_key`, `video_key` and `label_key`. Which
    number stands for which class is not written in the file.

    **Licence.** The feature file comes without a licence. The clips belong to
    AudioSet, whose annotations are under CC BY 4.0; the videos belong to those
    who made them.

    **Splits**: train and test, those of the file, of about 80 % and 20 %.
    There is no validation split: `"train[:90%]"` and `"train[90%:]"`.

    **An example** has:

    - `"audio"`: float32 `(128,)`.
    - `"video"`: float32 `(1024,)`.
    - `"label"`: 0 to 9.
    - `"name"`: the split and the row in the file, `"train_00012"`.

    Widths are those of the file; further axes, such as frames, are kept.

    Args:
        file: Name of the file, if it is another one or the folder has both.
        audio_key: Key of the audio features, `"{split}"` in the place of
            `train` and `test`.
        video_key: Key of the visual features.
        label_key: Key of the classes.
        **kwargs: As for `keras_xkd.datasets.MultimodalBuilder`: `manual_dir`,
            `data_dir`, `on_error` and so on.

    Raises:
        DataFileError: When the data is prepared: no such file, a damaged one,
            one that lacks a key or whose arrays do not fit together.

    Example:

    ```python
    builder = keras_xkd.datasets.VEGAS(manual_dir="downloads/vegas")
    builder.download_and_prepare()
    source = builder.as_data_source("train")
    source[0]["audio"].shape, source[0]["video"].shape, source[0]["label"]
    ```

    Reference:

    - Y. Zhou et al., *Visual to Sound: Generating Natural Sound for Videos in
      the Wild*, CVPR 2018
    - D. Zeng, Y. Yu, K. Oyama, *Deep Triplet Neural Networks with Cluster-CCA
      for Audio-Visual Cross-Modal Retrieval*, ACM TOMM 2020
    """

    BUILDER_CONFIGS = [VEGASConfig()]
    HOMEPAGE = "https://github.com/ZenzenDatabase/CMR"
    CITATION = """@inproceedings{zhou2018visual,
  title={Visual to Sound: Generating Natural Sound for Videos in the Wild},
  author={Zhou, Yipin and Wang, Zhaowen and others},
  booktitle={Proceedings of the IEEE Conference on Computer Vision and Pattern
    Recognition},
  pages={3550--3558},
  year={2018}
}
@article{zeng2020deep,
  title={Deep triplet neural networks with cluster-cca for audio-visual
    cross-modal retrieval},
  author={Zeng, Donghuo and Yu, Yi and Oyama, Keizo},
  journal={ACM Transactions on Multimedia Computing, Communications, and
    Applications},
  volume={16},
  number={3},
  pages={1--23},
  year={2020}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get vegas_feature.h5, to which https://github.com/ZenzenDatabase/CMR "
        "links"
    )

    def features(self) -> tfds.features.FeatureConnector:
        prepared = prepared_features(self.data_path)
        if prepared is not None:
            return prepared
        shapes = SHAPES
        if self.manual_dir:
            try:
                shapes = self._read(self.manual_dir).shapes
            except DataFileError:
                pass  # It is raised when the data is prepared.
        return tfds.features.FeaturesDict(
            {
                # As bytes it is written and read faster than as numbers.
                name: tfds.features.Tensor(
                    shape=shape, dtype=np.float32, encoding="bytes"
                )
                for name, shape in shapes.items()
            }
            | {
                "label": tfds.features.ClassLabel(num_classes=CLASSES),
                "name": tfds.features.Text(),
            }
        )

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        file = self._read(folder)
        known = {name: self.info.features[name].shape for name in file.shapes}
        if file.shapes != known:
            raise DataFileError(
                file.path,
                f"its features have the shapes {file.shapes}, but the builder "
                f"was made for {known}. Give the folder to the builder, which "
                "then looks: VEGAS(manual_dir=...)",
            )
        return {split: file.samples(split) for split in ("train", "test")}

    def _read(self, folder):
        return VEGASFile(self._find(folder), self.builder_config.keys())

    def _find(self, folder):
        names = (
            [self.builder_config.file] if self.builder_config.file else FILES
        )
        found = [folder / name for name in names if (folder / name).is_file()]
        if not found:
            raise DataFileError(
                folder,
                f"there is no {' or '.join(names)}. "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}",
            )
        if len(found) > 1:
            raise DataFileError(
                folder,
                f"there are {' and '.join(names)}. Choose one with `file=`",
            )
        return found[0]
