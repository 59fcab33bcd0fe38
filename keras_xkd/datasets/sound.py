import math

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets import av_stream
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.media_choices import check_times
from keras_xkd.typing import PathLike


@keras_xkd_export("keras_xkd.datasets.media.read_audio")
def read_audio(
    path: PathLike,
    sample_rate: int | None = None,
    start: float = 0.0,
    seconds: float | None = None,
) -> np.ndarray | None:
    """Sound, or None if the file is a video without any.

    Channels are averaged. A file of 16 bits at the wanted rate is read
    exactly.

    Args:
        path: A file that FFmpeg reads: wav, flac, mp3, ogg, m4a..., or a video.
        sample_rate: Samples per second of the result, resampled if the file
            has another. None for its own.
        start: Where to start, in seconds.
        seconds: How much to read. None for everything.

    Returns:
        An array of type float32 and shape `(samples,)`, from -1 to 1; None if
        the file has no sound.

    Example:

    >>> import pathlib, tempfile, wave
    >>> from keras_xkd.datasets import media
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "tone.wav"
    >>> with wave.open(str(path), "wb") as file:
    ...     file.setparams((1, 2, 8000, 0, "NONE", ""))
    ...     file.writeframes(np.full(8000, 16384, "int16").tobytes())
    >>> sound = media.read_audio(path, sample_rate=16_000, seconds=0.5)
    >>> sound.shape, media.read_audio(path).max()
    ((8000,), np.float32(0.5))
    """
    check_times(start, sample_rate=sample_rate, seconds=seconds)
    with av_stream.open_stream(path, "audio") as (container, stream):
        if stream is None:
            return None
        sound, rate = _decode_sound(container, stream, start, seconds)
    sound = sound[:, : None if seconds is None else round(seconds * rate)]
    if not sound.size:
        raise DataFileError(path, f"there is no sound from {start} s on")
    sound = sound.mean(axis=0)
    if sample_rate in (None, rate):
        return sound
    return resample(sound, rate, sample_rate)


def _decode_sound(container, stream, start, seconds):
    """Samples from `start` on, of shape `(channels, samples)`, and the rate."""
    end = math.inf if seconds is None else start + seconds
    to_float = av_stream.import_av().AudioResampler(format="fltp")
    parts, rate, first = [], stream.rate, None
    for time, frame in av_stream.decode(container, stream, start):
        first = time if first is None else first
        if time >= end:
            break
        parts += [part.to_ndarray() for part in to_float.resample(frame)]
    parts += [part.to_ndarray() for part in to_float.resample(None)]
    if not parts:
        return np.zeros((1, 0), "float32"), rate
    sound = np.concatenate(parts, axis=1)
    skipped = round((start - first) * rate)
    if skipped < 0:  # The picture came first.
        sound = np.pad(sound, [(0, 0), (-skipped, 0)])
    return sound[:, max(skipped, 0) :], rate


def resample(sound, rate, wanted):
    """One channel at another rate, of `round(samples * wanted / rate)`."""
    av = av_stream.import_av()
    frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    parts = [part.to_ndarray()[0] for part in parts]
    length = round(len(sound) * wanted / rate)
    result = np.concatenate([*parts, np.zeros(length, "float32")])[:length]
    return np.clip(result, -1, 1)  # The filter overshoots at full scale.
