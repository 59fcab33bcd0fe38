"""Makes `keras_xkd/datasets/av_digits.npz`.

    python scripts/make_av_digits.py [--output PATH]

Needs `espeak-ng` 1.51 (the program) and scikit-learn (for its digits). The
result is the same file, byte for byte, at every run: all randomness comes
from `SEED`, and neither the archive nor espeak-ng's output contains a date.

**Images.** The 1,797 handwritten digits of `sklearn.datasets.load_digits`,
8x8 pixels with values 0 to 16, split by class: 120 images of each digit for
training, 30 for the test, the remaining 24 to 33 for validation.

**Speech.** Each image gets one recording of its digit. A *speaker* is an
espeak-ng voice with an accent, a base pitch, a base speed and a microphone (a
spectral tilt). Every voice is heard in two accents, and the voices of the
three splits are disjoint. Within a speaker, utterances differ in pitch, speed,
start, volume and background noise.

**Spectrogram.** From the 22,050 Hz waveform: Hann windows of 660 samples
(30 ms), hop 441 (20 ms), 40 frames (0.8 s, the rest is cut), zero-padded
Fourier transform of 1,024 points, power, 32 triangular mel filters (HTK mel
scale, peak 1) between 100 and 4,000 Hz, 10 log10 of the power, relative to
`REFERENCE_DB`, clipped to the range 0 to 63 and rounded to 1 dB: uint8 values
0 to 63, one decibel per unit.
"""

import argparse
import io
import pathlib
import subprocess
import zipfile

import numpy as np

SEED = 20240607
OUTPUT = (
    pathlib.Path(__file__).resolve().parents[1]
    / "keras_xkd"
    / "datasets"
    / "av_digits.npz"
)

WORDS = "zero one two three four five six seven eight nine".split()
SPLITS = ("train", "validation", "test")

# Voices of espeak-ng 1.51 that sound like a person. Near copies of one another
# (Gene and Gene2, the klatt family, ...) are in one split, or left out.
VOICES = {
    "train": (
        "AnxiousAndy Alex Alicia Andy Annie Denis Diogo Gene Hugo Jacky Marco "
        "Michael Nguyen Storm adam antonio aunty belinda boris david edward "
        "f1 f3 f5 grandpa iven klatt2 klatt4 m1 m3 m5 m7 max pablo quincy rob "
        "shelby steph travis zac"
    ).split(),
    "validation": (
        "Andrea Lee Mario anika ed f2 m2 m6 marcelo paul robert sandro"
    ).split(),
    "test": (
        "Mike f4 grandma gustave john kaukovalta linda m4 m8 norbert pedro "
        "victor"
    ).split(),
}

# "en" is British English. Its other name, "en-gb", ignores the voice.
ACCENTS = (
    "en en-us en-gb-scotland en-029 en-gb-x-rp en-us-nyc en-gb-x-gbclan "
    "en-gb-x-gbcwmd"
).split()

TRAIN_PER_CLASS, TEST_PER_CLASS = 120, 30

RATE = 22050
WINDOW, HOP, FFT = 660, 441, 1024
FRAMES, MELS = 40, 32
FMIN, FMAX = 100.0, 4000.0
REFERENCE_DB = -34.0
LEVELS = 64

LONGEST_START = 0.12  # seconds
GAIN_DB = (-10.0, 4.0)
SNR_DB = (4.0, 24.0)


def split_images(labels, rng):
    """Returns the rows of each split, the digits of each in random order."""
    rows = {name: [] for name in SPLITS}
    for digit in range(10):
        own = rng.permutation(np.flatnonzero(labels == digit))
        rows["train"].append(own[:TRAIN_PER_CLASS])
        own = own[TRAIN_PER_CLASS:]
        rows["test"].append(own[:TEST_PER_CLASS])
        rows["validation"].append(own[TEST_PER_CLASS:])
    return {
        name: rng.permutation(np.concatenate(parts))
        for name, parts in rows.items()
    }


def make_speakers(rng):
    """Returns the list of speakers, the accents spread over the voices."""
    speakers = []
    for split in SPLITS:
        first = rng.permutation(len(VOICES[split]))
        for voice, start in zip(VOICES[split], first):
            for step in (0, 3):
                speakers.append(
                    {
                        "split": split,
                        "voice": voice,
                        "accent": ACCENTS[(start + step) % len(ACCENTS)],
                        "pitch": int(rng.integers(25, 76)),
                        "speed": int(rng.integers(150, 211)),
                        "tilt": float(rng.uniform(-3.0, 3.0)),
                    }
                )
    return speakers


def assign_speakers(labels, speakers, rng):
    """Spreads the recordings of each digit evenly over the speakers."""
    result = np.zeros(len(labels), "int64")
    for digit in range(10):
        rows = np.flatnonzero(labels == digit)
        order = [
            rng.permutation(speakers)
            for _ in range(-(-len(rows) // len(speakers)))
        ]
        result[rows] = np.concatenate(order)[: len(rows)]
    return result


def synthesise(text, voice, accent, pitch, speed):
    """Returns one utterance in [-1, 1], silence at both ends removed."""
    command = ["espeak-ng", "--stdout", "-v", f"{accent}+{voice}"]
    command += ["-p", str(pitch), "-s", str(speed), text]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    start = output.index(b"data") + 8
    wave = np.frombuffer(output[start : len(output) // 2 * 2], "<i2")
    wave = wave.astype("float64") / 32768
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]


def coloured_noise(length, slope, rng):
    """Noise of unit power whose spectrum falls like 1 / f ** slope."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 50.0)
    noise = np.fft.irfft(spectrum * frequency ** (-slope / 2), length)
    return noise / np.sqrt(np.mean(noise**2))


def record(digit, speaker, rng):
    """Returns the waveform of one noisy recording of a digit."""
    speech = synthesise(
        WORDS[digit],
        speaker["voice"],
        speaker["accent"],
        int(np.clip(speaker["pitch"] + rng.integers(-12, 13), 0, 99)),
        int(speaker["speed"] + rng.integers(-15, 16)),
    )
    length = (FRAMES - 1) * HOP + WINDOW
    wave = np.zeros(length)
    start = int(rng.uniform(0, LONGEST_START) * RATE)
    speech = speech[: length - start]
    wave[start : start + len(speech)] = speech
    wave /= np.sqrt(np.mean(speech**2))
    snr = rng.uniform(*SNR_DB)
    noise = coloured_noise(length, rng.uniform(0.0, 1.5), rng)
    wave += 10 ** (-snr / 20) * noise
    return wave * 10 ** (rng.uniform(*GAIN_DB) / 20)


def mel_filters():
    """Returns the `(FFT // 2 + 1, MELS)` triangular filters."""

    def to_mel(f):
        return 2595 * np.log10(1 + f / 700)

    edges = np.linspace(to_mel(FMIN), to_mel(FMAX), MELS + 2)
    edges = 700 * (10 ** (edges / 2595) - 1)
    f = np.fft.rfftfreq(FFT, 1 / RATE)[:, None]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (f - low) / (peak - low), (high - f) / (high - peak)
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(wave, tilt):
    """Returns the `(FRAMES, MELS)` spectrogram, uint8 in whole decibels.

    `tilt` is the microphone: decibels per octave, 0 at 1 kHz.
    """
    starts = np.arange(FRAMES)[:, None] * HOP
    frames = wave[starts + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / WINDOW
    frequency = np.maximum(np.fft.rfftfreq(FFT, 1 / RATE), FMIN)
    power = power * 10 ** (tilt * np.log2(frequency / 1000) / 10)
    decibel = 10 * np.log10(power @ mel_filters() + 1e-10)
    return np.clip(np.rint(decibel - REFERENCE_DB), 0, LEVELS - 1).astype(
        "uint8"
    )


def make():
    """Returns the arrays of the archive."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(SEED)
    rows = split_images(digits.target, rng)
    speakers = make_speakers(rng)
    speaker = []
    for split in SPLITS:
        own = [i for i, s in enumerate(speakers) if s["split"] == split]
        speaker.append(assign_speakers(digits.target[rows[split]], own, rng))
    speaker = np.concatenate(speaker)
    row = np.concatenate([rows[split] for split in SPLITS])
    label = digits.target[row]
    audio = []
    for index, (digit, who) in enumerate(zip(label, speaker)):
        own = np.random.default_rng([SEED, index])
        wave = record(digit, speakers[who], own)
        audio.append(log_mel(wave, speakers[who]["tilt"]))
    split = np.repeat(np.arange(3), [len(rows[name]) for name in SPLITS])
    return {
        "image": digits.images[row].astype("uint8"),
        "audio": np.stack(audio),
        "label": label.astype("uint8"),
        "split": split.astype("uint8"),
        "speaker": speaker.astype("uint8"),
        "source_row": row.astype("uint16"),
        "speaker_voice": np.array([s["voice"] for s in speakers]),
        "speaker_accent": np.array([s["accent"] for s in speakers]),
    }


def save(arrays, path):
    """Writes a compressed `.npz` archive that contains no date."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue(), compresslevel=9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT)
    path = parser.parse_args().output
    save(make(), path)
    print(f"{path}: {path.stat().st_size:,} bytes")
