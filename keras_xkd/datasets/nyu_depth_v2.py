import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.hdf5 import find_dataset
from keras_xkd.datasets.hdf5 import open_hdf5
from keras_xkd.datasets.media_choices import pair
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder
from keras_xkd.datasets.multimodal_config import MultimodalConfig
from keras_xkd.datasets.prepared_features import prepared_features

SPLITS = {"train": "train", "validation": "val"}
SIZE = (480, 640)
URL = "http://datasets.lids.mit.edu/fastdepth/data/nyudepthv2.tar.gz"


@dataclasses.dataclass(kw_only=True)
class NYUDepthV2Config(MultimodalConfig):
    """The choices of `NYUDepthV2`."""

    size: int | tuple | None = None

    def __post_init__(self):
        if self.size is not None:
            self.size = pair(self.size)
        super().__post_init__()


@keras_xkd_export("keras_xkd.datasets.NYUDepthV2")
class NYUDepthV2(MultimodalBuilder):
    """NYU Depth V2: pictures of rooms, and how far away each pixel is.

    Frames from walks through 464 indoor scenes with a Microsoft Kinect, in the
    selection and the files of *FastDepth*, which the builder `nyu_depth_v2` of
    tensorflow-datasets reads too. That builder downloads 34 GB itself and needs
    TensorFlow; this one reads a folder of yours without. The examples are the
    same but for the types of `"depth"` and `"name"`.

    **Folder.** `manual_dir` has the content of `nyudepthv2.tar.gz`, from
    http://datasets.lids.mit.edu/fastdepth/data/nyudepthv2.tar.gz:

    ```
    nyudepthv2/train/<scene>/<frame>.h5
    nyudepthv2/val/official/<frame>.h5
    ```

    or is itself the folder `nyudepthv2`. A file has the arrays `rgb`, uint8 of
    shape `(3, 480, 640)`, and `depth`, float of shape `(480, 640)`, in metres.
    The labelled subset that New York University distributes as one `.mat` file
    is not read.

    **Licence.** The files come without a licence; the authors ask to be cited.

    **Splits**, those of FastDepth: train, and validation, which are 654 frames
    of the official test set. There is no further test split.

    **An example** has:

    - `"image"`: uint8 `(480, 640, 3)`.
    - `"depth"`: float32 `(480, 640, 1)`, metres. (In tensorflow-datasets
      float16 without the last axis.)
    - `"name"`: scene and frame, `"basement_0001a_00001.h5"`.

    There is no `"label"`. To learn depth from pictures, read it as the label:
    `keras_xkd.data.load(builder, modalities=["image"], label="depth")`.

    Args:
        size: `(height, width)` to which both are scaled, or a number for both
            axes: pictures with bilinear weights, depth by taking the nearest
            pixel, so that it makes up no distance. None for the files' own.
        **kwargs: As for `keras_xkd.datasets.MultimodalBuilder`: `manual_dir`,
            `data_dir`, `on_error` and so on.

    Raises:
        DataFileError: When the data is prepared: a folder or file that is
            missing or damaged, or arrays of another shape.

    Example:

    ```python
    builder = keras_xkd.datasets.NYUDepthV2(
        manual_dir="downloads", size=(224, 304)
    )
    builder.download_and_prepare()
    source = builder.as_data_source("validation")
    source[0]["image"].shape, source[0]["depth"].max()
    ```

    Reference:

    - N. Silberman, D. Hoiem, P. Kohli, R. Fergus, *Indoor Segmentation and
      Support Inference from RGBD Images*, ECCV 2012
    - D. Wofk, F. Ma, T.-J. Yang, S. Karaman, V. Sze, *FastDepth: Fast Monocular
      Depth Estimation on Embedded Systems*, ICRA 2019
    """

    # Not that of the builder in tensorflow-datasets.
    name = "nyudepthv2"
    BUILDER_CONFIGS = [NYUDepthV2Config()]
    HOMEPAGE = "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"
    CITATION = """@inproceedings{silberman2012indoor,
  title={Indoor Segmentation and Support Inference from {RGBD} Images},
  author={Silberman, Nathan and Hoiem, Derek and Kohli, Pushmeet and
    Fergus, Rob},
  booktitle={European Conference on Computer Vision},
  year={2012}
}
@inproceedings{wofk2019fastdepth,
  title={{FastDepth}: Fast Monocular Depth Estimation on Embedded Systems},
  author={Wofk, Diana and Ma, Fangchang and Yang, Tien-Ju and Karaman, Sertac
    and Sze, Vivienne},
  booktitle={IEEE International Conference on Robotics and Automation},
  year={2019}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Download and unpack {URL} (34 GB)"

    def features(self) -> tfds.features.FeatureConnector:
        prepared = prepared_features(self.data_path)
        if prepared is not None:
            return prepared
        height, width = self.builder_config.size or self._own_size()
        return tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(height, width, 3)),
                "depth": tfds.features.Tensor(
                    shape=(height, width, 1), dtype=np.float32, encoding="zlib"
                ),
                "name": tfds.features.Text(),
            }
        )

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        return {
            split: self._split(files)
            for split, files in self._find(folder).items()
        }

    def _find(self, folder):
        """The files of each split."""
        if (folder / "nyudepthv2").is_dir():
            folder = folder / "nyudepthv2"
        found = {}
        for split, name in SPLITS.items():
            found[split] = sorted((folder / name).glob("*/*.h5"))
            if not found[split]:
                raise DataFileError(
                    folder / name,
                    "there is no <scene>/<frame>.h5. "
                    f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}",
                )
        return found

    def _own_size(self):
        """The height and width of the first file that can be read."""
        try:
            files = self._find(self.manual_dir) if self.manual_dir else {}
        except DataFileError:
            files = {}  # It is raised when the data is prepared.
        for path in (path for paths in files.values() for path in paths):
            try:
                return read_depth(path).shape[:2]
            except DataFileError:
                continue
        return SIZE

    def _split(self, files):
        """Yields `(key, example)`."""
        for path in files:
            name = f"{path.parent.name}_{path.name}"
            yield (
                name,
                {
                    "image": functools.partial(self._image, path),
                    "depth": functools.partial(self._depth, path),
                    "name": name,
                },
            )

    def _image(self, path):
        from PIL import Image

        return self._scaled(
            path,
            read_image(path),
            lambda image, size: np.asarray(
                Image.fromarray(image).resize(
                    size[::-1], Image.Resampling.BILINEAR
                )
            ),
        )

    def _depth(self, path):
        def nearest(depth, size):
            rows, columns = (
                ((np.arange(n) + 0.5) * m / n).astype(int)
                for n, m in zip(size, depth.shape)
            )
            return depth[rows][:, columns]

        return self._scaled(path, read_depth(path), nearest)

    def _scaled(self, path, pixels, scale):
        expected = self.info.features["depth"].shape[:2]
        if pixels.shape[:2] == expected:
            return pixels
        if self.builder_config.size is None:
            raise DataFileError(
                path,
                f"it has {pixels.shape[:2]} pixels, others have {expected}. "
                "Give `manual_dir` to the builder, which then looks, or choose "
                "one `size` for all",
            )
        return scale(pixels, expected)


def read_image(path):
    """The picture of a file, uint8 `(height, width, 3)`."""
    with open_hdf5(path) as file:
        pixels = find_dataset(file, "rgb")[()]
    if pixels.ndim != 3 or len(pixels) != 3 or pixels.dtype != np.uint8:
        raise DataFileError(
            path,
            "`rgb` must be uint8 of the shape (3, height, width). It is "
            f"{pixels.dtype} of the shape {pixels.shape}",
        )
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def read_depth(path):
    """The depth of a file, float32 `(height, width, 1)`."""
    with open_hdf5(path) as file:
        depth = find_dataset(file, "depth")[()]
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise DataFileError(
            path,
            "`depth` must be floating-point of the shape (height, width). It "
            f"is {depth.dtype} of the shape {depth.shape}",
        )
    if not np.isfinite(depth).all():
        raise DataFileError(path, "`depth` has values that are not finite")
    return depth.astype("float32")[..., None]
