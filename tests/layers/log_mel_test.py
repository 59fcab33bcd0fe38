import keras
import keras_hub
import numpy as np
import onnxruntime
import pytest

from keras_xkd.layers import LogMel
from keras_xkd.layers.log_mel import mel_filters
from tests.test_case import to_numpy


def sound(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype("float32")


def hz_to_mel(hz):
    return (
        hz * 3 / 200
        if hz < 1000
        else 15
        + 27
        * np.log(
            hz / 1000,
        )
        / np.log(6.4)
    )


def by_hand(clip, mels=6, window=32, stride=10, rate=8000):
    """A discrete Fourier transform and triangles, one number at a time."""
    half = window // 2
    padded = np.concatenate(
        [clip[half:0:-1], clip, clip[-2 : -2 - half : -1]]
    ).astype("float64")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    edges = np.linspace(0, hz_to_mel(rate / 2), mels + 2)
    edges = [
        m * 200 / 3 if m < 15 else 1000 * np.exp((m - 15) * np.log(6.4) / 27)
        for m in edges
    ]
    rows = []
    for start in range(0, (len(clip) // stride) * stride, stride):
        piece = padded[start : start + window] * hann
        row = np.zeros(mels)
        for k in range(half + 1):
            turn = np.exp(-2j * np.pi * k * np.arange(window) / window)
            power, hz = abs((piece * turn).sum()) ** 2, k * rate / window
            for m in range(mels):
                low, centre, high = edges[m : m + 3]
                if low < hz <= centre:
                    height = (hz - low) / (centre - low)
                elif centre < hz < high:
                    height = (high - hz) / (high - centre)
                else:
                    continue
                row[m] += power * height * 2 / (high - low)
        rows.append(np.log10(np.maximum(row, 1e-10)))
    rows = np.array(rows)
    return (np.maximum(rows, rows.max() - 8) + 4) / 4


def run(layer, clips):
    """In a model, where JAX compiles it as a whole."""
    inputs = keras.Input(clips.shape[1:])
    return keras.Model(inputs, layer(inputs)).predict(clips, verbose=0)


SMALL = dict(
    num_mel_bins=6, fft_length=32, sequence_stride=10, sampling_rate=8000
)


@pytest.mark.parametrize("fft", [True, False])
def test_every_step_by_hand(fft):
    clips = sound(3, 104)
    clips[1] *= 1e-4  # 80 dB quieter than its neighbours.
    clips[2] = 0
    expected = np.array([by_hand(clip) for clip in clips])
    assert expected.shape == (3, 10, 6)
    features = run(LogMel(**SMALL, fft=fft), clips)
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_is_what_whisper_reads():
    converter = keras_hub.layers.WhisperAudioConverter(max_audio_length=1)
    clips = sound(2, 16000)
    clips[1] *= np.linspace(0, 1, 16000) ** 8
    np.testing.assert_allclose(
        run(LogMel(), clips), to_numpy(converter(clips)), atol=2e-4
    )
    np.testing.assert_allclose(
        mel_filters(80, 400, 16000), converter.mel_filters, atol=1e-7
    )


def test_the_layer_of_keras_couples_the_clips_of_a_batch():
    """The reason for this layer: fails when Keras has changed it."""
    theirs = keras.layers.MelSpectrogram(
        fft_length=32, sequence_stride=10, num_mel_bins=6, sampling_rate=8000
    )
    quiet = sound(3, 104) * 1e-4
    loud = quiet.copy()
    loud[0] *= 1e4
    changes = [
        np.abs(run(layer, loud)[1] - run(layer, quiet)[1]).max()
        for layer in (theirs, LogMel(**SMALL))
    ]
    assert changes[0] > 10  # dB
    assert changes[1] < 1e-5


def test_in_a_model_saved_and_with_sound_of_any_length(tmp_path):
    inputs = keras.Input((None,), name="audio")
    model = keras.Model(inputs, LogMel(**SMALL)(inputs))
    assert model.output_shape == (None, None, 6)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for samples in (17, 104):
        clips = sound(3, samples)
        expected = [by_hand(clip) for clip in clips]
        np.testing.assert_allclose(
            loaded.predict(clips, verbose=0), expected, atol=1e-4
        )


def test_to_onnx(tmp_path):
    layer = LogMel(**SMALL)
    inputs = keras.Input((104,), name="audio")
    model = keras.Model(inputs, layer(inputs))
    layer.fft = False
    clips = sound(3, 104)
    expected = to_numpy(model(clips))
    file = str(tmp_path / "m.onnx")
    model.export(file, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(file)
    (found,) = session.run(None, {session.get_inputs()[0].name: clips})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_half_precision_outside_only():
    clips = sound(3, 104)
    clips[1] *= 1e-5
    half = LogMel(**SMALL, dtype="mixed_float16")(clips)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    np.testing.assert_allclose(
        to_numpy(half), to_numpy(LogMel(**SMALL)(clips)), atol=2e-3
    )


def test_errors():
    with pytest.raises(ValueError, match="`num_mel_bins` must be positive"):
        LogMel(num_mel_bins=0)
    with pytest.raises(ValueError, match="`fft_length` must be even"):
        LogMel(fft_length=401)
    for shape in ((2, 16), (2, 100, 1), (100,)):
        with pytest.raises(ValueError, match="more than 16 samples"):
            LogMel(**SMALL)(sound(*shape))
