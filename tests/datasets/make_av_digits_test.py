"""The parts of the script that do not need the speech synthesiser."""

import importlib.util
import pathlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_xkd.datasets import av_digits

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "make_av_digits.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_av_digits", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_splits_and_speakers_are_those_of_the_file(script):
    labels = load_digits().target
    rng = np.random.default_rng(script.SEED)
    rows = script.split_images(labels, rng)
    speakers = script.make_speakers(rng)
    for split, part in zip(script.SPLITS, av_digits.load_metadata()):
        own = [i for i, s in enumerate(speakers) if s["split"] == split]
        chosen = script.assign_speakers(labels[rows[split]], own, rng)
        np.testing.assert_array_equal(rows[split], part["source_row"])
        np.testing.assert_array_equal(chosen, part["speaker"])
        assert set(part["voice"]) == set(script.VOICES[split])


def test_spectrogram_of_a_tone(script):
    time = np.arange((script.FRAMES - 1) * script.HOP + script.WINDOW)
    tone = np.sin(2 * np.pi * 1000 * time / script.RATE)
    quiet, loud = (script.log_mel(v * tone, 0.0) for v in (0.1, 1.0))
    assert loud.shape == (40, 32)
    assert loud.dtype == np.uint8
    # All frames peak in the band at 1 kHz, and 20 dB are 20 levels.
    band = np.argmax(script.mel_filters()[round(1000 * 1024 / script.RATE)])
    assert set(loud.argmax(1)) == {band}
    assert set(loud[:, band].astype(int) - quiet[:, band]) <= {19, 20, 21}


def test_tilt_is_in_decibels_per_octave(script):
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((script.FRAMES - 1) * script.HOP + script.WINDOW)
    flat, tilted = (
        script.log_mel(wave, t).astype("float64").mean(0) for t in (0.0, 3.0)
    )
    # From the band at 0.5 kHz to that at 2 kHz: two octaves, 6 dB.
    filters = script.mel_filters()
    low, high = (
        np.argmax(filters[round(f * 1024 / script.RATE)]) for f in (500, 2000)
    )
    gain = (tilted - flat)[high] - (tilted - flat)[low]
    np.testing.assert_allclose(gain, 6.0, atol=0.6)


def test_noise_has_unit_power(script):
    for slope in (0.0, 1.5):
        noise = script.coloured_noise(10000, slope, np.random.default_rng(0))
        np.testing.assert_allclose(np.mean(noise**2), 1.0)


def test_archive_contains_no_date(script, tmp_path):
    arrays = {"a": np.arange(5), "b": np.array(["x", "yy"])}
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for file in files:
        script.save(arrays, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    with np.load(files[0], allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["b"], arrays["b"])
