import math

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets import av_stream
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.media_choices import check_times
from keras_xkd.datasets.media_choices import pair
from keras_xkd.typing import PathLike

# Times in files are rounded, Matroska's to milliseconds.
TOLERANCE = 1e-3


@keras_xkd_export("keras_xkd.datasets.media.read_video")
def read_video(
    path: PathLike,
    frame_rate: float | None = None,
    size: int | tuple[int, int] | None = None,
    start: float = 0.0,
    seconds: float | None = None,
) -> np.ndarray | None:
    """The frames of a video, or None if the file has sound only.

    Args:
        path: A file that FFmpeg reads: mp4, avi, mkv, webm, mov...
        frame_rate: Frames per second. The frame at `k / frame_rate` seconds is
            the one that is shown at that moment, whatever rate the file has.
            None for all frames of the file.
        size: `(height, width)`, or a number for both, to which the picture is
            scaled, without regard to its proportions. None for its own.
        start: Where to start, in seconds.
        seconds: How much to read. None for everything.

    Returns:
        An array of type uint8 and shape `(frames, height, width, 3)`, RGB; None
        if the file has no picture.

    Example:

    ```python
    frames = media.read_video("clip.mp4", frame_rate=4, size=(112, 112))
    ```
    """
    check_times(start, frame_rate=frame_rate, seconds=seconds)
    height, width = pair(size)
    with av_stream.open_stream(path, "video") as (container, stream):
        if stream is None:
            return None
        shown = _sample(container, stream, frame_rate, start, seconds)
        pictures, last = [], None
        for frame in shown:
            if frame is not last:
                picture = frame.to_ndarray(
                    format="rgb24",
                    height=height,
                    width=width,
                    interpolation="BILINEAR",
                )
            pictures.append(picture)
            last = frame
    if not pictures:
        raise DataFileError(path, f"there is no picture from {start} s on")
    return np.stack(pictures)


def _sample(container, stream, frame_rate, start, seconds):
    """The frames that are shown at the times wanted."""
    end = math.inf if seconds is None else seconds - TOLERANCE
    shown, count, over = None, 0, 0.0
    for time, frame in av_stream.decode(container, stream, start):
        time -= start
        if frame_rate is None:
            if -TOLERANCE <= time < end:
                yield frame
        else:
            while count / frame_rate < min(time - TOLERANCE, end):
                # Nothing is shown yet if a file starts with sound only.
                yield frame if shown is None else shown
                count += 1
        if time >= end:
            return
        shown = frame
        over = time + av_stream.frame_length(frame, stream) - TOLERANCE
    if frame_rate is not None:
        while count / frame_rate < min(over, end):
            yield shown
            count += 1
