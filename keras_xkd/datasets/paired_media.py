import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets import sample_table
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.media_config import MediaConfig
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.typing import PathLike

LABELS = ("classes", "numbers")


@dataclasses.dataclass(kw_only=True)
class PairedMediaConfig(MediaConfig):
    dataset: str = "unnamed"
    table: str = "samples.csv"
    labels: str = "classes"

    def __post_init__(self):
        if self.labels not in LABELS:
            raise ValueError(
                f"`labels` must be one of {LABELS}. Received: "
                f"labels={self.labels!r}"
            )
        if not sample_table.NAME.fullmatch(self.dataset.replace("-", "_")):
            raise ValueError(
                "`dataset` must be a name of letters, digits, `_` and `-`. "
                f"Received: dataset={self.dataset!r}"
            )
        super().__post_init__()


@keras_xkd_export("keras_xkd.datasets.PairedMedia")
class PairedMedia(MultimodalBuilder):
    """Your own videos, sounds, images, depth maps and texts, side by side.

    A table `samples.csv` in the folder has a line for each sample:

    ```
    id,split,label,video,audio,text
    a1,train,dog,clips/a1.mp4,clips/a1.mp4,a dog barks
    a2,train,cat,clips/a2.mp4,,texts/a2.txt
    b1,test,dog,clips/b1.avi,sound/b1.wav,
    ```

    - `id` names the sample; it is unique in its split. `split` defaults to
      `train`. `label` is a class, or a number with `labels="numbers"`; a table
      without that column has no labels.
    - `start` and `end`, in seconds, say which part of video and sound is
      meant. Several samples may be parts of one file.
    - Each other column is a modality: a path from the folder on, or nothing
      where a sample lacks it. Its kind is its name up to a `_` (`video`,
      `audio`, `image`, `depth`, `text`, as in `image_left`), or else that of
      the endings of its files. The `audio` of a video file is its track of
      sound. A `text` that does not end in `.txt` is the text itself.

    Without a table, the samples are files of the same name in parallel folders
    (the folder of the label may be left out in all of them):

    ```
    <manual_dir>/<modality>/<split>/<label>/<id>.<ending>
                  video/train/dog/a1.mp4
                  audio/train/dog/a1.wav
    ```

    An example has each modality, `label` if there are any, `name` (the id) and
    `present`, whether it has each modality: a video may have no sound. Video
    is frames, sound float32, images uint8, depth uint16 as in its file.

    `paired_media.md`, beside this module, says how to lay out VGGSound,
    Kinetics-400, ActivityNet, IEMOCAP, ModelNet40 views and Sketchy, and where
    they are to be had.

    Args:
        manual_dir: The folder. It is needed to prepare the data.
        dataset: A name, under which the prepared data lives. Defaults to that
            of the folder.
        table: Name of the csv file in the folder.
        labels: `"classes"` or `"numbers"`.
        frame_rate: Video frames per second. Defaults to 4.
        image_size: Height and width of frames, images and depth maps, or a
            number for both. Defaults to 112.
        sample_rate: Samples of sound per second. Defaults to 16,000.
        max_seconds: How much of a clip is read; None, the default, for all.
        **kwargs: Arguments of `keras_xkd.datasets.MultimodalBuilder`:
            `on_error`, `data_dir`...

    Raises:
        ValueError: For a table with unknown columns, duplicate ids, missing
            labels, files of another kind than their column's; and if the
            table is another than the one from which the data had been
            prepared, as soon as the builder is made.
        keras_xkd.datasets.DataFileError: If files are missing and `on_error`
            is `"raise"`, before anything is prepared.

    Example:

    ```python
    builder = keras_xkd.datasets.PairedMedia(
        manual_dir="recordings", frame_rate=8, image_size=(96, 128)
    )
    builder.download_and_prepare()
    train = builder.as_data_source("train")
    ```
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "A folder with a table samples.csv, or with files "
        "<modality>/<split>/<label>/<id>.<ending>."
    )
    BUILDER_CONFIGS = [PairedMediaConfig()]

    def __init__(
        self,
        *,
        manual_dir: PathLike | None = None,
        config: Any = None,
        **kwargs: Any,
    ) -> None:
        if config is None:
            if "dataset" not in kwargs:
                if manual_dir is None:
                    raise ValueError(
                        "PairedMedia needs the folder, `manual_dir`, or the "
                        "name of a prepared `dataset`."
                    )
                name = pathlib.Path(manual_dir).expanduser().resolve().name
                kwargs["dataset"] = "".join(
                    c if c.isalnum() or c == "-" else "_" for c in name
                )
        super().__init__(manual_dir=manual_dir, config=config, **kwargs)

    def features(self) -> tfds.features.FeatureConnector:
        if self.is_prepared():
            return None  # They are restored from beside the data.
        if self.manual_dir is None:
            raise ValueError(
                f"There is no prepared data in {self.data_dir}. To prepare it, "
                "PairedMedia needs the folder as its argument `manual_dir`."
            )
        samples, kinds = self._table(self.manual_dir)
        feature = self.builder_config.feature
        features = {name: feature(kind) for name, kind in kinds.items()}
        labels = {sample.label for sample in samples}
        if labels != {None} and self.builder_config.labels == "numbers":
            features["label"] = tfds.features.Scalar(dtype=np.float32)
        elif labels != {None}:
            features["label"] = tfds.features.ClassLabel(names=_classes(labels))
        features["name"] = tfds.features.Text()
        features["present"] = {
            name: tfds.features.Scalar(dtype=np.bool_) for name in kinds
        }
        return tfds.features.FeaturesDict(features)

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        samples, kinds = self._table(folder)
        if self.on_error == "raise":
            sample_table.check_missing(samples)
        splits: dict[str, Any] = {}
        for sample in samples:
            example = {
                name: self._value(kinds[name], sample, value)
                for name, value in sample.files.items()
            }
            given = [n for n, value in example.items() if value is not None]
            if len(given) == 1 and callable(example[given[0]]):
                read = functools.partial(_read_only_one, sample, *given)
                example[given[0]] = functools.partial(read, example[given[0]])
            if sample.label is not None:
                example["label"] = sample.label
                if self.builder_config.labels == "numbers":
                    example["label"] = float(sample.label)
            example["name"] = sample.id
            splits.setdefault(sample.split, []).append((sample.id, example))
        return splits

    def fingerprint(self, folder: pathlib.Path) -> str | None:
        folder = folder.absolute()  # "." is not the start of its files.
        samples, _ = self._table(folder)
        return sample_table.fingerprint(samples, folder)

    def _value(self, kind, sample, value):
        if value is None or isinstance(value, str):
            return value
        return self.builder_config.reader(kind, value, sample.start, sample.end)

    def _table(self, folder):
        config = self.builder_config
        path = folder / config.table
        if path.is_file():
            samples, kinds = sample_table.read_table(path, folder)
        elif config.table != PairedMediaConfig.table:
            raise DataFileError(path, "the table is missing")
        elif not folder.is_dir():
            raise DataFileError(folder, "expected a folder, which is missing")
        else:
            path = folder
            samples, kinds = sample_table.read_folders(folder)
        if not kinds:
            raise ValueError(f"{path} has no modality.")
        sample_table.check_samples(samples, path)
        sample_table.check_endings(samples, kinds, path)
        numbers = [_number(s.label) for s in samples if s.label]
        if config.labels == "numbers" and None in numbers:
            raise ValueError(
                f"{path}: with labels='numbers' each label must be a number. "
                f"Received: {samples[numbers.index(None)].label!r}"
            )
        if config.labels == "classes" and any(
            n is not None and n % 1 for n in numbers
        ):
            raise ValueError(
                f"{path}: labels such as {samples[0].label} are numbers. Pass "
                "`labels='numbers'`."
            )
        return samples, kinds


def _read_only_one(sample, name, read):
    """The value of the one modality that a sample has."""
    value = read()
    if value is None:
        raise DataFileError(
            sample.files[name],
            f"there is no {name} in it, and the sample has nothing else",
        )
    return value


def _classes(labels):
    """Names in order; those that are whole numbers by size."""
    return sorted(labels, key=lambda s: (len(s), s) if s.isdigit() else (0, s))


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
