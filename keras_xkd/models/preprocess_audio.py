"""Waveforms to what an audio encoder reads."""

import numpy as np
from keras import ops

from keras_xkd.models.preprocess_fit import check_mask


def preprocess_audio(raw, tool, encoder, max_audio_length=None, there=None):
    """Features `(batch, time, ...)` and a mask `(batch, time)`.

    Args:
        raw: Sound from -1 to 1, shape `(batch, samples)` or
            `(batch, samples, 1)`, or a list of arrays of shape `(samples,)`;
            at the sampling rate of the converter.
        tool: An audio converter of keras-hub, or None: the encoder has a front
            end that reads sound.
        encoder: An `Encoder`, for its name, `max_length` and `front_end`.
        max_audio_length: To how many seconds sound is cut and padded. What the
            converter says where it says something (Whisper: 30), else the
            length of the longest one.
        there: The mask that the sound came with, `(batch, samples)`, or None.
    """
    waves, lengths = _waves(raw)
    if there is None:
        there = np.arange(waves.shape[1]) < lengths[:, None]
    check_mask(there, waves)
    waves = np.where(there, waves, np.float32(0))
    rate = getattr(tool or encoder.front_end, "sampling_rate", None)
    seconds = max_audio_length or getattr(tool, "max_audio_length", None)
    if seconds and (not rate or seconds * rate < 1):
        raise ValueError(
            "`max_audio_length` must be a number of seconds above 0, and needs "
            f"a converter or front end with a `sampling_rate`. Received: "
            f"max_audio_length={max_audio_length}, sampling_rate={rate}"
        )
    samples = round(seconds * rate) if seconds else waves.shape[1]
    waves, there = (
        np.pad(x[:, :samples], ((0, 0), (0, max(0, samples - x.shape[1]))))
        for x in (waves, there)
    )
    features = waves if tool is None else _convert(waves, tool, seconds)
    frames, longest = features.shape[1], encoder.max_length
    if tool is not None and longest and frames > longest:
        raise ValueError(
            f"'{encoder.name}' reads at most {longest} frames: pass a smaller "
            f"`max_audio_length` to `preprocess`. Received: {frames} frames "
            f"from {samples / rate:g} seconds"
        )
    # A frame is there if the sample that it starts at is.
    return features, there[:, np.arange(frames) * samples // frames]


def _convert(waves, converter, seconds):
    samples = waves.shape[1]
    if getattr(converter, "num_samples", samples) != samples:
        # Whisper's cuts and pads to the length that it was made with.
        config = {**converter.get_config(), "max_audio_length": seconds}
        converter = type(converter).from_config(config)
        converter.num_samples = samples
    return ops.convert_to_numpy(converter(waves))


def _waves(raw):
    """Sound in one array, and how many samples each one has."""
    if isinstance(raw, (list, tuple)) or raw.dtype.kind == "O":
        rows = [np.asarray(wave) for wave in raw]
        lengths = np.array([row.shape[0] for row in rows])
        waves = np.zeros((len(rows), max(lengths, default=0)), "float32")
        for wave, row in zip(waves, rows):
            _check(row[None])
            wave[: len(row)] = row.reshape(len(row))
    else:
        waves = np.asarray(raw)
        waves = waves[..., 0] if waves.shape[2:] == (1,) else waves
        _check(waves)
        # Zeros at the end are padding; a silent sample counts as a whole.
        heard = waves.shape[1] - (waves[:, ::-1] != 0).argmax(axis=1)
        lengths = np.where((waves != 0).any(axis=1), heard, waves.shape[1])
        waves = waves.astype("float32", copy=False)
    return waves, lengths


def _check(waves):
    if waves.ndim != 2 or waves.dtype.kind != "f" or not waves.shape[1]:
        raise ValueError(
            "Sound must be floating-point numbers from -1 to 1 in an array of "
            "shape `(batch, samples)`, one channel, or a list of arrays of "
            "shape `(samples,)`; divide 16-bit samples by 32768. Received: "
            f"shape {waves.shape}, type {waves.dtype}"
        )
