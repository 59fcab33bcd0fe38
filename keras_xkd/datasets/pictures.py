import contextlib

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.file_error import check_file
from keras_xkd.datasets.media_choices import pair
from keras_xkd.typing import PathLike


@keras_xkd_export("keras_xkd.datasets.media.read_image")
def read_image(
    path: PathLike, size: int | tuple[int, int] | None = None
) -> np.ndarray:
    """A picture, turned upright as its camera noted.

    Args:
        path: A file that Pillow reads: png, jpg, bmp, webp...
        size: `(height, width)`, or a number for both, to which it is scaled,
            without regard to its proportions. None for its own.

    Returns:
        An array of type uint8 and shape `(height, width, 3)`, RGB.

    Example:

    ```python
    image = media.read_image("photo.jpg", size=(224, 224))
    ```
    """
    from PIL import ImageOps

    with _open_image(path) as image:
        image = _to_rgb(ImageOps.exif_transpose(image))
        if size is not None:
            image = image.resize(pair(size)[::-1], _bilinear())
        return np.array(image)


@keras_xkd_export("keras_xkd.datasets.media.read_depth")
def read_depth(
    path: PathLike, size: int | tuple[int, int] | None = None
) -> np.ndarray:
    """A map of distances, such as a 16-bit png, in the numbers of the file.

    Args:
        path: A file of one channel.
        size: `(height, width)`, or a number for both. Scaling takes the
            nearest pixel, and so makes up no distance. None for its own.

    Returns:
        An array of type uint16 and shape `(height, width, 1)`.

    Raises:
        DataFileError: If the file cannot be read as one channel of whole
            numbers up to 65535.

    Example:

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from keras_xkd.datasets import media
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "depth.png"
    >>> Image.fromarray(np.full((2, 3), 1500, "uint16")).save(path)
    >>> depth = media.read_depth(path)
    >>> depth.shape, int(depth.max())  # Often millimetres.
    ((2, 3, 1), 1500)
    """
    with _open_image(path) as image:
        if len(image.getbands()) != 1 or image.mode == "P":
            raise DataFileError(
                path, f"depth has one channel, this is {image.mode}"
            )
        depth = np.array(image)
    if depth.min() < 0 or depth.max() > 65535 or depth.dtype.kind == "f":
        raise DataFileError(
            path,
            "depth is whole numbers up to 65535, this is "
            f"{depth.dtype} from {depth.min()} to {depth.max()}",
        )
    if size is not None:
        rows, columns = (
            (np.arange(n) + 0.5) * m // n
            for n, m in zip(pair(size), depth.shape, strict=True)
        )
        depth = depth[rows.astype(int)][:, columns.astype(int)]
    return depth.astype("uint16")[..., None]


@contextlib.contextmanager
def _open_image(path):
    from PIL import Image

    check_file(path)
    try:
        with Image.open(path) as image:
            image.load()
            yield image
    except DataFileError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise DataFileError(
            path, f"the image cannot be read: {error}"
        ) from error


def _to_rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off.
        image = Image.fromarray((np.array(image) >> 8).astype("uint8"))
    if image.mode == "P":  # Its transparency may be a list.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _bilinear():
    from PIL import Image

    return Image.Resampling.BILINEAR
