import numpy as np
import pytest

from keras_xkd.datasets import DataFileError
from keras_xkd.datasets import media
from tests.datasets import media_files

VIDEOS = {
    "mp4": ("libx264", "aac"),
    "avi": ("mpeg4", "pcm_s16le"),
    "mkv": ("ffv1", "flac"),
    "webm": ("libvpx", "libopus"),
}


def video(folder, ending="mp4", **kwargs):
    codec, sound_codec = VIDEOS[ending]
    path = folder / f"clip.{ending}"
    return media_files.write_video(
        path, codec=codec, sound_codec=sound_codec, **kwargs
    )


def gray(frames):
    return frames.mean(axis=(1, 2, 3)).round()


# Sound.


def test_wav_is_read_exactly(tmp_path):
    samples = media_files.sine(8000)
    path = media_files.write_wav(tmp_path / "a.wav", samples)
    for rate in (None, 8000):
        sound = media.read_audio(path, rate)
        assert sound.dtype == "float32"
        np.testing.assert_array_equal(sound, samples[:, 0] / 32768)
    np.testing.assert_array_equal(
        media.read_audio(path, start=0.25, seconds=0.5),
        samples[2000:6000, 0] / 32768,
    )


def test_flac_is_read_exactly(tmp_path):
    samples = media_files.sine(8000)
    path = media_files.write_sound(tmp_path / "a.flac", samples)
    np.testing.assert_array_equal(media.read_audio(path), samples[:, 0] / 32768)


@pytest.mark.parametrize("rate", [44_100, 16_000, 11_025])
def test_resampling(rate, tmp_path):
    samples = media_files.sine(44_100, seconds=0.5)
    path = media_files.write_wav(tmp_path / "a.wav", samples, 44_100)
    sound = media.read_audio(path, rate)
    assert sound.shape == (round(rate / 2),)
    time = np.arange(len(sound)) / rate
    expected = 20000 / 32768 * np.sin(2 * np.pi * 440 * time)
    # The filter sees silence around the file, and samples have 16 bits.
    inside = slice(rate // 50, -rate // 50)
    np.testing.assert_allclose(sound[inside], expected[inside], atol=2e-4)


def test_channels_are_averaged(tmp_path):
    samples = media_files.sine(8000, channels=2)
    path = media_files.write_wav(tmp_path / "a.wav", samples)
    np.testing.assert_allclose(
        media.read_audio(path), samples.mean(axis=1) / 32768, atol=1e-7
    )


def test_full_scale_stays_in_range(tmp_path):
    samples = np.where(np.arange(8000) // 50 % 2, 32767, -32768)
    path = media_files.write_wav(
        tmp_path / "a.wav", samples[:, None].astype("int16")
    )
    assert abs(media.read_audio(path, 16_000)).max() <= 1


@pytest.mark.parametrize(
    "ending, codec", [("mp3", "libmp3lame"), ("ogg", "libopus"), ("m4a", "aac")]
)
def test_lossy_sound(ending, codec, tmp_path):
    samples = media_files.sine(16_000)
    path = media_files.write_sound(
        tmp_path / f"a.{ending}", samples, 16_000, codec
    )
    sound = media.read_audio(path, 16_000)
    assert abs(len(sound) - 16_000) < 1100  # A frame of the codec.
    inside = slice(2000, 14_000)
    spectrum = abs(np.fft.rfft(sound[inside]))
    assert spectrum.argmax() == round(440 * 12_000 / 16_000)
    assert abs(sound[inside]).max() == pytest.approx(20000 / 32768, abs=0.1)


@pytest.mark.parametrize("ending", VIDEOS)
def test_sound_of_a_video(ending, tmp_path):
    rate = 48_000 if ending == "webm" else 8000
    samples = media_files.sine(rate)
    path = video(tmp_path, ending, sound=samples, sound_rate=rate)
    sound = media.read_audio(path, 8000)
    assert abs(len(sound) - 8000) < 400
    if ending in ("avi", "mkv"):
        np.testing.assert_array_equal(sound, samples[:, 0] / 32768)
    spectrum = abs(np.fft.rfft(sound[1000:5000]))
    assert spectrum.argmax() == 220
    assert media.has_audio(path)


def test_video_without_sound(tmp_path):
    path = video(tmp_path)
    assert media.read_audio(path) is None
    assert not media.has_audio(path)


# Video.


@pytest.mark.parametrize("ending", VIDEOS)
def test_frames_shown_at_a_moment(ending, tmp_path):
    path = video(tmp_path, ending)  # 10 frames in one second.
    frames = media.read_video(path, frame_rate=4)
    assert frames.dtype == "uint8"
    assert frames.shape == (4, 24, 32, 3)
    # At 0, 0.25, 0.5 and 0.75 s.
    np.testing.assert_allclose(gray(frames), [0, 40, 100, 140], atol=3)


def test_other_rates_and_parts(tmp_path):
    path = video(tmp_path)

    def read(**kwargs):
        return (gray(media.read_video(path, **kwargs)) / 20).round().tolist()

    assert read() == list(range(10))
    assert read(frame_rate=10) == list(range(10))
    assert read(frame_rate=20) == [i // 2 for i in range(20)]
    assert read(frame_rate=1) == [0]
    assert read(frame_rate=0.5) == [0]
    assert read(start=0.4) == [4, 5, 6, 7, 8, 9]
    assert read(start=0.4, seconds=0.3) == [4, 5, 6]
    assert read(frame_rate=5, start=0.45, seconds=0.5) == [4, 6, 8]
    assert read(frame_rate=5, start=0.9, seconds=9) == [9]
    assert read(seconds=0.2) == [0, 1]


def test_rate_of_television(tmp_path):
    # Its times are not decimal; none is read twice or left out.
    from fractions import Fraction

    rate = Fraction(30000, 1001)
    frames = media_files.grays(range(0, 250, 5))
    for ending in ("mp4", "mkv"):
        path = video(tmp_path, ending, frames=frames, rate=rate)
        read = media.read_video(path, frame_rate=float(rate))
        np.testing.assert_allclose(gray(read), range(0, 250, 5), atol=4)


@pytest.mark.parametrize("ending", VIDEOS)
def test_far_into_a_video(ending, tmp_path):
    frames = media_files.grays([i % 12 * 20 for i in range(60)])
    rate = 48_000 if ending == "webm" else 8000
    sound = media_files.sine(rate, seconds=15)
    sound[: 12 * rate] = 0  # A tone from 12 s on.
    path = video(
        tmp_path, ending, frames=frames, rate=4, sound=sound, sound_rate=rate
    )
    read = media.read_video(path, frame_rate=4, start=12, seconds=1)
    np.testing.assert_allclose(gray(read), [0, 20, 40, 60], atol=3)
    heard = media.read_audio(path, 8000, start=11.9, seconds=0.2)
    assert heard.shape == (1600,)
    assert abs(heard[:700]).max() < 0.05
    assert abs(heard[900:]).max() > 0.5


@pytest.mark.parametrize(
    "ending, codec",
    [("wav", "pcm_s16le"), ("flac", "flac"), ("ogg", "libopus")],
)
def test_far_into_a_sound(ending, codec, tmp_path):
    sound = media_files.sine(8000, seconds=15)
    sound[:96_000] = 0
    path = media_files.write_sound(tmp_path / f"a.{ending}", sound, 8000, codec)
    heard = media.read_audio(path, 8000, start=11.9, seconds=0.2)
    assert heard.shape == (1600,)
    assert abs(heard[:700]).max() < 0.05
    assert abs(heard[900:]).max() > 0.5
    if codec != "libopus":
        exact = sound[95_200:96_800, 0] / 32768
        np.testing.assert_array_equal(heard, exact)


def test_sound_that_starts_within_a_frame(tmp_path):
    import av

    path = media_files.write_video(
        tmp_path / "a.avi",
        sound=media_files.sine(16_000),
        sound_rate=16_000,
        codec="mpeg4",
        sound_codec="libmp3lame",
    )
    content = bytearray(path.read_bytes())
    # The first packet of sound that is not empty.
    start = content.index(b"01wb", content.index(b"01wb") + 4)
    size = int.from_bytes(content[start + 4 : start + 8], "little")
    content[start + 8 : start + 8 + size] = np.random.RandomState(0).bytes(size)
    path.write_bytes(content)
    with av.open(str(path)) as file, pytest.raises(av.InvalidDataError):
        list(file.decode(audio=0))
    sound = media.read_audio(path)
    # It stays in step with the picture.
    assert 16_000 <= len(sound) <= 17_400
    assert not sound[:500].any()
    spectrum = abs(np.fft.rfft(sound[4000:12_000]))
    assert spectrum.argmax() == 220


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_clip_that_continues_another(ending, tmp_path):
    # There is no complete picture before 1.2 s, 0.75 s into the clip.
    frames = media_files.grays([i * 5 for i in range(40)])
    sound = media_files.sine(48_000, seconds=4)
    source = video(
        tmp_path, ending, frames=frames, sound=sound, sound_rate=48_000
    )
    path = tmp_path / f"rest.{ending}"
    media_files.write_rest(path, source, 0.45)
    shown = gray(media.read_video(path, frame_rate=10))
    np.testing.assert_allclose(shown[-20:], np.arange(100, 200, 5), atol=4)
    # Until then, the first one is shown, so that picture and sound agree.
    assert len(shown) in (35, 36)
    assert (shown[:7] == shown[0]).all()
    assert len(media.read_audio(path, 8000)) in range(28_000, 28_800)


def test_colours_and_size(tmp_path):
    frame = np.zeros((24, 32, 3), "uint8")
    frame[:, :16] = [200, 30, 30]
    frame[:, 16:] = [30, 30, 200]
    path = video(tmp_path, "mkv", frames=[frame] * 3)
    frames = media.read_video(path, size=(12, 16))
    assert frames.shape == (3, 12, 16, 3)
    np.testing.assert_allclose(frames[0, 6, 3], [200, 30, 30], atol=6)
    np.testing.assert_allclose(frames[0, 6, 12], [30, 30, 200], atol=6)
    assert media.read_video(path, size=8).shape == (3, 8, 8, 3)


def test_sound_has_no_frames(tmp_path):
    path = media_files.write_wav(tmp_path / "a.wav", media_files.sine())
    assert media.read_video(path) is None


# Pictures and text.


def test_image(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (5, 7, 3), "uint8")
    path = media_files.write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(media.read_image(path), pixels)
    assert media.read_image(path, size=(10, 4)).shape == (10, 4, 3)
    path = media_files.write_image(tmp_path / "gray.png", pixels[..., 0])
    np.testing.assert_array_equal(
        media.read_image(path), np.repeat(pixels[..., :1], 3, axis=-1)
    )


def test_image_of_other_modes(tmp_path):
    from PIL import Image

    gray = np.arange(0, 65_536, 4096, dtype="uint16").reshape(4, 4)
    path = media_files.write_image(tmp_path / "16.png", gray)
    np.testing.assert_array_equal(media.read_image(path)[..., 0], gray // 256)
    image = Image.fromarray(np.full((4, 4, 3), 200, "uint8")).quantize(2)
    image.save(tmp_path / "p.png", transparency=b"\xff\x80")
    assert (media.read_image(tmp_path / "p.png") == 200).all()


def test_image_is_turned_upright(tmp_path):
    from PIL import Image

    image = Image.fromarray(np.zeros((4, 8, 3), "uint8"))
    exif = image.getexif()
    exif[0x0112] = 6  # Turn by 90 degrees.
    image.save(tmp_path / "a.jpg", exif=exif)
    assert media.read_image(tmp_path / "a.jpg").shape == (8, 4, 3)


def test_depth(tmp_path):
    depth = np.arange(24, dtype="uint16").reshape(4, 6) * 2700
    path = media_files.write_image(tmp_path / "a.png", depth)
    read = media.read_depth(path)
    assert read.dtype == "uint16"
    np.testing.assert_array_equal(read[..., 0], depth)
    np.testing.assert_array_equal(
        media.read_depth(path, size=(2, 3))[..., 0], depth[1::2, 1::2]
    )
    path = media_files.write_image(tmp_path / "8.png", depth.astype("uint8"))
    np.testing.assert_array_equal(
        media.read_depth(path)[..., 0], depth.astype("uint8")
    )
    colour = np.zeros((4, 4, 3), "uint8")
    path = media_files.write_image(tmp_path / "rgb.png", colour)
    with pytest.raises(DataFileError, match="rgb.png: depth has one channel"):
        media.read_depth(path)


def test_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\ufeff Grüße, \nWelt\n", encoding="utf-8")
    assert media.read_text(path) == "Grüße, \nWelt"
    path.write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(DataFileError, match="a.txt: not a text in UTF-8"):
        media.read_text(path)


# What is wrong with a file.

READERS = {
    "video": (media.read_video, "clip.mp4"),
    "audio": (media.read_audio, "clip.wav"),
    "image": (media.read_image, "clip.png"),
    "depth": (media.read_depth, "clip.png"),
    "text": (media.read_text, "clip.txt"),
}


@pytest.mark.parametrize("kind", READERS)
def test_missing_and_empty_files(kind, tmp_path):
    read, name = READERS[kind]
    with pytest.raises(DataFileError, match=f"{name}: .* missing") as error:
        read(tmp_path / name)
    assert error.value.path == str(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(DataFileError, match=f"{name}: the file is empty"):
        read(tmp_path / name)


@pytest.mark.parametrize("kind", ["video", "audio", "image", "depth"])
def test_rubbish(kind, tmp_path):
    read, name = READERS[kind]
    (tmp_path / name).write_bytes(np.random.RandomState(0).bytes(3000))
    with pytest.raises(DataFileError, match=f"{name}: .*(decoded|read)"):
        read(tmp_path / name)


@pytest.mark.parametrize("ending", VIDEOS)
@pytest.mark.parametrize("options", [None, {"movflags": "faststart"}])
def test_video_that_is_cut_off(ending, options, tmp_path):
    if options and ending != "mp4":
        options = None
    path = video(
        tmp_path,
        ending,
        sound=media_files.sine(48_000),
        sound_rate=48_000,
        options=options,
    )
    media_files.cut_off(path, 0.9)
    for read in (media.read_video, media.read_audio):
        with pytest.raises(DataFileError, match=rf"clip.{ending}: .* cut off"):
            read(path, seconds=0.1)


def test_wav_that_is_cut_off(tmp_path):
    path = media_files.write_wav(tmp_path / "a.wav", media_files.sine())
    length = path.stat().st_size
    media_files.cut_off(path)
    with pytest.raises(
        DataFileError, match=rf"a.wav: .*cut off, \d+ of {length} bytes"
    ):
        media.read_audio(path)


def test_length_that_is_not_known(tmp_path):
    path = media_files.write_wav(tmp_path / "a.wav", media_files.sine())
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4  # As written to a pipe.
    path.write_bytes(content)
    assert media.read_audio(path).shape == (8000,)


@pytest.mark.parametrize(
    "ending, problem",
    [("mp4", "(cannot be decoded|is damaged at)"), ("avi", "is damaged at")],
)
def test_damaged_video(ending, problem, tmp_path):
    random = np.random.RandomState(0)
    noise = random.randint(0, 256, (12, 48, 64, 3), "uint8")
    path = video(tmp_path, ending, frames=list(noise))
    content = bytearray(path.read_bytes())
    for part in range(len(content) // 4, len(content) * 3 // 4, 2000):
        content[part : part + 20] = random.bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=f"clip.{ending}: .* {problem}"):
        media.read_video(path)


def test_image_that_is_cut_off(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (64, 64, 3), "uint8")
    path = media_files.write_image(tmp_path / "a.png", pixels)
    with pytest.raises(DataFileError, match="a.png: the image cannot be read"):
        media.read_image(media_files.cut_off(path))


def test_start_after_the_end(tmp_path):
    path = video(tmp_path, sound=media_files.sine())
    with pytest.raises(DataFileError, match="no picture from 30 s on"):
        media.read_video(path, frame_rate=2, start=30)
    with pytest.raises(DataFileError, match="no sound from 30 s on"):
        media.read_audio(path, start=30)


def test_bad_arguments(tmp_path):
    path = video(tmp_path)
    for kwargs in ({"frame_rate": 0}, {"seconds": -1}, {"start": -1}):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            media.read_video(path, **kwargs)
    with pytest.raises(ValueError, match="`size` must be .* Received: size=0"):
        media.read_video(path, size=0)
    with pytest.raises(ValueError, match="`sample_rate` must be positive"):
        media.read_audio(path, sample_rate=0)
