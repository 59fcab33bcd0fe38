"""Decoding of video and sound with PyAV, which brings FFmpeg along."""

import contextlib
import os

from keras_xkd.datasets.complete_file import check_complete
from keras_xkd.datasets.file_error import DataFileError

# Only far into a file is it worth while to jump, and then to a point before
# the one that is wanted: sound needs the frames before it.
SEEK_FROM = 10.0
SEEK_MARGIN = 2.0
# How FFmpeg calls the formats of single pictures: png_pipe, jpeg_pipe...
PICTURES = ("_pipe", "image2")


def import_av():
    """The package PyAV, or an error that names the extra."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "Reading video and sound needs PyAV, which is not installed. "
            "Install it (`pip install av`), or the extra `data` of this "
            'package: `pip install "keras-xkd[data]"`.',
            name="av",
        ) from error
    return av


@contextlib.contextmanager
def open_stream(path, kind):
    """The container and its first stream of a kind, None if it has none."""
    av = import_av()
    check_complete(path)
    try:
        # Titles in old encodings are no reason to refuse a file.
        with av.open(os.fspath(path), metadata_errors="ignore") as container:
            if not (container.streams.video or container.streams.audio):
                raise DataFileError(path, "there is no video or sound in it")
            if container.format.name.endswith(PICTURES):
                raise DataFileError(path, f"expected {kind}, this is a picture")
            stream = next(iter(getattr(container.streams, kind)), None)
            yield container, stream
    except DataFileError:
        raise
    except (av.FFmpegError, ValueError, IndexError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataFileError(
            path, f"the {kind} cannot be decoded: {reason}"
        ) from error


def decode(container, stream, start):
    """Frames with their times, in seconds from the file's start.

    The first ones may be before `start`.
    """
    if start > SEEK_FROM:
        container.seek(int((start - SEEK_MARGIN) * 1e6))
    zero = (container.start_time or 0) / 1e6
    time = 0.0
    for frame in _frames(container, stream):
        # Raw streams have no times.
        time = time if frame.time is None else frame.time - zero
        if frame.is_corrupt:  # Decoders patch it up and go on.
            raise DataFileError(
                container.name, f"the {stream.type} is damaged at {time:.2f} s"
            )
        yield time, frame
        time += frame_length(frame, stream)


def _frames(container, stream):
    """All frames of a stream, from where the container stands."""
    begun = False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except import_av().InvalidDataError:
            # Clips that were cut out of longer files often start within a
            # frame of sound, or with pictures that continue others.
            if begun or (stream.type == "video" and packet.is_keyframe):
                raise
            continue
        begun = begun or bool(frames)
        yield from frames


def frame_length(frame, stream):
    """How long a frame lasts, in seconds."""
    if stream.type == "audio":
        return frame.samples / frame.sample_rate
    rate = stream.average_rate or stream.guessed_rate or 25
    return 1 / float(rate)
