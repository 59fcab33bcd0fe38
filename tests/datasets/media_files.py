"""Small media files that the tests write."""

import wave

import av
import numpy as np
from PIL import Image


def sine(rate=8000, seconds=1.0, frequency=440.0, channels=1):
    """int16 of shape `(samples, channels)`; each channel half the last."""
    time = np.arange(round(rate * seconds)) / rate
    tone = 20000 * np.sin(2 * np.pi * frequency * time)
    return np.stack([tone / 2**c for c in range(channels)], 1).astype("int16")


def write_wav(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def grays(values, height=24, width=32):
    """One uniform frame per value."""
    return [np.full((height, width, 3), v, "uint8") for v in values]


def write_video(
    path,
    frames=None,
    rate=10,
    sound=None,
    sound_rate=8000,
    codec="libx264",
    sound_codec="aac",
    options=None,
    keyframes=12,
):
    """A video, with a track of `sound` (samples of one channel) if given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = grays(range(0, 200, 20)) if frames is None else frames
    with av.open(str(path), "w", options=options or {}) as file:
        picture = file.add_stream(codec, rate=rate)
        picture.height, picture.width = frames[0].shape[:2]
        picture.pix_fmt = "yuv420p"
        picture.gop_size = keyframes
        if sound is not None:
            track = file.add_stream(sound_codec, rate=sound_rate)
            track.layout = "mono"
        for frame in frames:
            frame = av.VideoFrame.from_ndarray(frame, format="rgb24")
            file.mux(picture.encode(frame))
        file.mux(picture.encode(None))
        if sound is not None:
            write_track(file, track, sound, sound_rate)
    return path


def write_rest(path, source, start):
    """What follows `start` seconds of a video, without encoding it again."""
    with av.open(str(source)) as file, av.open(str(path), "w") as rest:
        tracks = [rest.add_stream_from_template(s) for s in file.streams]
        for packet in file.demux():
            if packet.dts is None or packet.pts * packet.time_base < start:
                continue
            shift = round(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = tracks[packet.stream.index]
            rest.mux(packet)
    return path


def write_sound(path, samples, rate=8000, codec="flac"):
    """A sound file of one channel in a format other than wav."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        track = file.add_stream(codec, rate=rate)
        track.layout = "mono"
        write_track(file, track, samples, rate)
    return path


def write_track(file, track, samples, rate):
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T), format="s16", layout="mono"
    )
    frame.sample_rate = rate
    frame.pts = 0
    file.mux(track.encode(frame))
    file.mux(track.encode(None))


def write_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def cut_off(path, part=0.6):
    """Keeps the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path
