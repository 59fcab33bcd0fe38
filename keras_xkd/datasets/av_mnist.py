import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.datasets.multimodal_config import MultimodalConfig
from keras_xkd.datasets.sound import resample
from keras_xkd.datasets.tfds_source import read_columns

SOURCE_RATE = 8000
# Recordings 0 to 4 of each speaker are the official test set.
RECORDINGS = {
    "train": range(10, 1000),
    "validation": range(5, 10),
    "test": range(5),
}


@dataclasses.dataclass(kw_only=True)
class AVMNISTConfig(MultimodalConfig):
    sample_rate: int = SOURCE_RATE
    image_energy: float | None = None
    seed: int = 0

    def __post_init__(self):
        energy = self.image_energy
        if self.sample_rate < 1 or not (energy is None or 0 < energy <= 1):
            raise ValueError(
                "`sample_rate` must be positive, `image_energy` a part of 1 or "
                f"None. Received: sample_rate={self.sample_rate}, "
                f"image_energy={energy}"
            )
        super().__post_init__()


@keras_xkd_export("keras_xkd.datasets.AVMNIST")
class AVMNIST(MultimodalBuilder):
    """Handwritten digits, each with a recording of the same digit spoken.

    Made of the data sets `mnist` and `spoken_digit` (Free Spoken Digit
    Dataset) of tensorflow-datasets, which are downloaded and prepared if they
    are not in `data_dir` yet. There is no folder to fill. Its builders of
    these two need TensorFlow and `pydub` to prepare them, not to be read.

    Which recording comes with an image is this package's choice: for each
    digit, the recordings are shuffled with `seed` and dealt out to its images
    over and over. Each split has recordings of its own: 0 to 4 of each speaker
    in `test`, as the authors of the recordings say, 5 to 9 in `validation`,
    the others in `train`. There are 55,000, 5,000 and 10,000 examples: the
    last twelfth of the training images is for validation.

    This is not the AV-MNIST of the literature, whose files are not public in
    their original form: there, PCA takes 75 % of the energy from the images,
    and noise of ESC-50 is added to the sound. The first is offered here,
    `image_energy=0.25`; the second is not. Accuracies cannot be compared.

    Licences: MNIST CC BY-SA 3.0, Free Spoken Digit Dataset CC BY-SA 4.0.

    An example has `image`, uint8 of shape `(28, 28, 1)`; `audio`, 8 kHz
    recordings of about half a second; `label`; `name`.

    Args:
        sample_rate: Samples of sound per second. Defaults to 8,000, that of
            the recordings.
        image_energy: Part of the variance of the training images, from 0 to 1,
            that is left in the images. None, the default, for all of it.
        seed: Number from which the pairs are drawn.
        **kwargs: Arguments of `keras_xkd.datasets.MultimodalBuilder`:
            `data_dir`...

    Example:

    ```python
    builder = keras_xkd.datasets.AVMNIST(image_energy=0.25)
    builder.download_and_prepare()
    train = builder.as_data_source("train")
    ```
    """

    HOMEPAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    CITATION = """@article{lecun1998gradient,
  title={Gradient-based learning applied to document recognition},
  author={LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and
          Haffner, Patrick},
  journal={Proceedings of the IEEE},
  volume={86},
  number={11},
  pages={2278--2324},
  year={1998}
}
@misc{jackson2018fsdd,
  title={Jakobovski/free-spoken-digit-dataset: v1.0.8},
  author={Jackson, Zohar and Souza, C{\\'e}sar and Flaks, Jason and Pan, Yuxin
          and Nicolas, Hereman and Thite, Adhish},
  doi={10.5281/zenodo.1342401},
  year={2018}
}
@inproceedings{vielzeuf2018centralnet,
  title={{CentralNet}: a Multilayer Approach for Multimodal Fusion},
  author={Vielzeuf, Valentin and Lechervy, Alexis and Pateux, St{\\'e}phane and
          Jurie, Fr{\\'e}d{\\'e}ric},
  booktitle={ECCV Workshops},
  year={2018}
}"""
    BUILDER_CONFIGS = [AVMNISTConfig()]

    def features(self) -> tfds.features.FeatureConnector:
        return tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "audio": tfds.features.Tensor(shape=(None,), dtype=np.float32),
                "label": tfds.features.ClassLabel(num_classes=10),
                "name": tfds.features.Text(),
            }
        )

    def source_folder(
        self, dl_manager: tfds.download.DownloadManager
    ) -> pathlib.Path:
        return self.data_dir_root

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        config = self.builder_config
        mnist = {
            split: read_columns("mnist", split, ["image", "label"], folder)
            for split in ("train", "test")
        }
        spoken = read_columns(
            "spoken_digit",
            "train",
            ["audio", "label", "audio/filename"],
            folder,
        )
        images, labels = map(np.stack, zip(*mnist["train"]))
        cut = len(images) - len(images) // 12
        tests, test_labels = map(np.stack, zip(*mnist["test"]))
        parts = {
            "train": (images[:cut], labels[:cut]),
            "validation": (images[cut:], labels[cut:]),
            "test": (tests, test_labels),
        }
        if config.image_energy is not None:
            keep = principal_components(images, config.image_energy)
            parts = {s: (keep(x), y) for s, (x, y) in parts.items()}
        sounds = [
            (int(label), name.decode(), audio) for audio, label, name in spoken
        ]
        sounds.sort(key=lambda sound: sound[1])
        return {
            split: self._pairs(split, pictures, labels, sounds)
            for split, (pictures, labels) in parts.items()
        }

    def _pairs(self, split, images, labels, sounds):
        config = self.builder_config
        deck = {digit: [] for digit in range(10)}
        for digit, name, audio in sounds:
            # Such as 7_jackson_32.wav.
            if int(name.split(".")[0].split("_")[2]) in RECORDINGS[split]:
                deck[digit].append((name, audio))
        random = np.random.RandomState(config.seed)
        order = {digit: random.permutation(len(deck[digit])) for digit in deck}
        dealt = dict.fromkeys(deck, 0)
        for row, (image, label) in enumerate(zip(images, labels)):
            digit = int(label)
            if not deck[digit]:
                raise ValueError(
                    f"There is no recording of {digit} for the split {split!r}."
                )
            turn = order[digit][dealt[digit] % len(deck[digit])]
            dealt[digit] += 1
            name, audio = deck[digit][turn]
            sound = np.asarray(audio, "float32") / 32768
            if config.sample_rate != SOURCE_RATE:
                sound = resample(sound, SOURCE_RATE, config.sample_rate)
            yield (
                row,
                {
                    "image": image,
                    "audio": sound,
                    "label": digit,
                    "name": f"{row:05d}_{name.split('.')[0]}",
                },
            )


def principal_components(images, energy):
    """A function that leaves a part of the variance in images.

    Args:
        images: uint8 of shape `(samples, height, width, 1)`.
        energy: The part. The fewest components that have it are kept.
    """
    flat = images.reshape(len(images), -1).astype("float64")
    mean = flat.mean(axis=0)
    covariance = np.cov(flat.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    count = np.searchsorted(values.cumsum(), energy * values.sum()) + 1
    kept = vectors[:, :count]

    def keep(images):
        flat = images.reshape(len(images), -1) - mean
        flat = flat @ kept @ kept.T + mean
        return flat.round().clip(0, 255).astype("uint8").reshape(images.shape)

    return keep
