"""Reads media files into arrays: what the builders do, for single files.

A student that was trained on prepared data gets a new file in the same form:

```python
from keras_xkd.datasets import media

frames = media.read_video("clip.mp4", frame_rate=4, size=112, seconds=4)
sound = media.read_audio("clip.mp4", sample_rate=16_000, seconds=4)
```

A file that is missing, empty, cut off or damaged raises
`keras_xkd.datasets.DataFileError`, which names it.
"""

import pathlib

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets import av_stream
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.file_error import check_file
from keras_xkd.datasets.pictures import read_depth
from keras_xkd.datasets.pictures import read_image
from keras_xkd.datasets.sound import read_audio
from keras_xkd.datasets.video import read_video
from keras_xkd.typing import PathLike

__all__ = [
    "has_audio",
    "read_audio",
    "read_depth",
    "read_image",
    "read_text",
    "read_video",
]


@keras_xkd_export("keras_xkd.datasets.media.read_text")
def read_text(path: PathLike) -> str:
    """The text of a file in UTF-8, without white space around it.

    Example:

    >>> import tempfile
    >>> from keras_xkd.datasets import media
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "caption.txt"
    >>> _ = path.write_text("a dog barks\\n")
    >>> media.read_text(path)
    'a dog barks'
    """
    check_file(path)
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataFileError(path, f"not a text in UTF-8: {error}") from error


@keras_xkd_export("keras_xkd.datasets.media.has_audio")
def has_audio(path: PathLike) -> bool:
    """Whether a file has sound, without decoding it.

    Args:
        path: The file, of any format that FFmpeg reads.

    Returns:
        A bool.

    Raises:
        DataFileError: If the file cannot be opened.

    Example:

    ```python
    with_sound = [path for path in clips if media.has_audio(path)]
    ```
    """
    with av_stream.open_stream(path, "audio") as (_, stream):
        return stream is not None
