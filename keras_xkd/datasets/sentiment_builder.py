"""What the builders of CMU-MOSI and CMU-MOSEI have in common."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.datasets.multimodal_config import MultimodalConfig
from keras_xkd.datasets.one_file import OneFile
from keras_xkd.datasets.prepared_features import prepared_features
from keras_xkd.datasets.sentiment_file import MODALITIES
from keras_xkd.datasets.sentiment_file import SEQUENCES
from keras_xkd.datasets.sentiment_file import SentimentFile

NONFINITE = ("zero", "keep", "raise")

# As bytes, which are written and read faster than lists of numbers.
tensor = functools.partial(tfds.features.Tensor, encoding="bytes")


@dataclasses.dataclass(kw_only=True)
class SentimentConfig(MultimodalConfig):
    """The choices of `CMUMOSI` and `CMUMOSEI`."""

    aligned: bool = True
    modalities: tuple | None = None
    nonfinite: str = "zero"
    file: str | None = None

    def __post_init__(self):
        if self.nonfinite not in NONFINITE:
            raise ValueError(
                f"`nonfinite` must be one of {list(NONFINITE)}. Received: "
                f"nonfinite={self.nonfinite!r}"
            )
        if self.modalities is not None:
            chosen = self.modalities
            chosen = {chosen} if isinstance(chosen, str) else {*chosen}
            if not chosen or chosen - {*MODALITIES}:
                raise ValueError(
                    f"`modalities` must be among {list(MODALITIES)}. "
                    f"Received: modalities={self.modalities!r}"
                )
            self.modalities = tuple(n for n in MODALITIES if n in chosen)
        if self.file is not None and ("/" in self.file or not self.file):
            raise ValueError(
                "`file` must be the name of a file in `manual_dir`. Received: "
                f"file={self.file!r}"
            )
        if not self.name:
            # Short, and without what is left to its default.
            parts = ["aligned" if self.aligned else "unaligned"]
            parts += ["_".join(self.modalities)] if self.modalities else []
            parts += [self.nonfinite] if self.nonfinite != "zero" else []
            parts += [self.file] if self.file else []
            self.name = "-".join(parts)
        super().__post_init__()


class SentimentBuilder(  # type: ignore[call-arg]
    OneFile, MultimodalBuilder, skip_registration=True
):
    """A corpus of utterances with a sentiment, from a file of features."""

    BUILDER_CONFIGS = [SentimentConfig(), SentimentConfig(aligned=False)]

    # What a subclass says: folders and files in which the features may be, by
    # `aligned`, and the widths of the usual ones.
    FOLDERS: tuple[str, ...] = ()
    FILES: dict[bool, list[str]] = {}
    WIDTHS: dict[str, int] = {}

    _file = None

    @property
    def nonfinite_values(self) -> dict[str, dict[str, int]]:
        """How many values were infinite or NaN: `{split: {modality: n}}`."""
        metadata = tfds.core.MetadataDict()
        metadata.load_metadata(self.data_path)
        return metadata["nonfinite_values"]

    def features(self) -> tfds.features.FeatureConnector:
        prepared = prepared_features(self.data_path)
        if prepared is not None:
            return prepared
        widths = self.WIDTHS
        modalities = self.builder_config.modalities or tuple(MODALITIES)
        if self.manual_dir:
            try:
                file = self._read(self.manual_dir)
            except DataFileError:
                pass  # It is raised when the data is prepared.
            else:
                widths = file.widths
                modalities = self.builder_config.modalities or file.modalities
        features = {}
        for name in modalities:
            if name == "text":
                features[name] = tfds.features.Text()
            elif name == "text_bert":
                features[name] = tensor(shape=(3, widths[name]), dtype=np.int32)
            else:
                features[name] = tensor(
                    shape=(None, widths[name]), dtype=np.float32
                )
        features["label"] = tfds.features.Scalar(dtype=np.float32)
        features["name"] = tfds.features.Text()
        optional = [n for n in modalities if n in (*SEQUENCES, "text")]
        if optional:
            features["present"] = {
                n: tfds.features.Scalar(dtype=np.bool_) for n in optional
            }
        return tfds.features.FeaturesDict(features)

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        file = self._read(folder)
        # From here on its arrays live as long as their split is written.
        self._file = None
        self._counts = file.found
        features = self.info.features
        modalities = [n for n in MODALITIES if n in features]
        if self.builder_config.modalities is None:
            expected = file.modalities
        else:
            expected = modalities
        widths = {
            n: features[n].shape[-1] for n in modalities if n in file.widths
        }
        if modalities != expected or any(
            width != file.widths[n] for n, width in widths.items()
        ):
            raise DataFileError(
                file.path,
                f"it has {file.modalities} with the widths {file.widths}, but "
                f"the builder was made for {modalities} with the widths "
                f"{widths}. Give the folder to the builder, which then looks: "
                f"{type(self).__name__}(manual_dir=...)",
            )
        return {split: file.samples(split, modalities) for split in file.splits}

    def _read(self, folder):
        """The feature file, which is kept until it is written."""
        path = self._find(folder)
        if self._file is None or self._file.path != path:
            config = self.builder_config
            file = SentimentFile(path, config.aligned, config.nonfinite)
            file.require(config.modalities or ())
            self._file = file
        return self._file

    def _find(self, folder):
        config = self.builder_config
        names = [config.file] if config.file else self.FILES[config.aligned]
        folders = [folder, *(folder / name for name in self.FOLDERS)]
        paths = [parent / name for parent in folders for name in names]
        found = [path for path in paths if path.is_file()]
        if not found:
            others = sorted(path.name for path in folder.glob("*.pkl"))
            raise DataFileError(
                folder,
                f"none of {names} is here or in {list(self.FOLDERS)}. "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}. Choose another file "
                f"with `file=`; here are {others}",
            )
        if len(found) > 1:
            raise DataFileError(
                folder,
                f"there are {len(found)} feature files: "
                f"{[str(path.relative_to(folder)) for path in found]}. Choose "
                "one with `file=`, or a folder with one of them",
            )
        return found[0]

    def _download_and_prepare(self, dl_manager, download_config=None):
        super()._download_and_prepare(dl_manager, download_config)
        metadata = tfds.core.MetadataDict(nonfinite_values=self._counts)
        metadata.save_metadata(self.data_path)
