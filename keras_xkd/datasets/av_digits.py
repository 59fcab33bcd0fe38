"""AV digits: handwritten digits seen and spoken digits heard.

1,797 pairs of a real 8x8 image of a handwritten digit and the log-mel
spectrogram of the same digit, spoken in noise by one of 128 synthetic
speakers. The file is part of the package: nothing is downloaded.

**How the pairs are made.** The images come from one source and the speech
from another. They are matched by the digit, and by nothing else: the person
who wrote is not the one who speaks.

**Splits**, fixed, with disjoint images and disjoint voices:

| split      | samples | per digit | voices | speakers |
|------------|---------|-----------|--------|----------|
| train      | 1,200   | 120       | 40     | 80       |
| validation | 297     | 24 to 33  | 12     | 24       |
| test       | 300     | 30        | 12     | 24       |

A speaker is a voice with an accent, a base pitch, a base speed and a
microphone. The recordings differ in start, volume and background noise (4 to
24 dB below the speech).

**Spectrograms.** 40 frames (0.8 s) of 32 mel bands: from 22,050 Hz, Hann
window of 30 ms, hop of 20 ms, triangular filters between 100 and 4,000 Hz, in
decibels, rounded to whole decibels and clipped to a range of 63.
`scripts/make_av_digits.py` in the repository makes the file and says more.

**Sources and licences.** Images: *Optical Recognition of Handwritten Digits*,
E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository
(doi.org/10.24432/C50P49), CC BY 4.0; the copy of its test part in
scikit-learn's `load_digits`. Speech: synthesised with espeak-ng 1.51, a
program under GPL-3.0-or-later; the licence of the program does not cover its
output, and no part of the program or its voices is contained here.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.data import views
from keras_xkd.typing import Degradations, Split

PATH = pathlib.Path(__file__).with_name("av_digits.npz")
SPLITS = ("train", "validation", "test")


@keras_xkd_export("keras_xkd.datasets.av_digits.load_data")
def load_data(
    degrade: Degradations | None = None,
    labels: int | None = None,
    pairs: int | None = None,
    missing: Mapping[str, float] | None = None,
    seed: int = 0,
) -> tuple[Split, Split, Split]:
    """Loads the AV digits: images of digits paired with spoken digits.

    The images (UCI Optical Recognition of Handwritten Digits) and the speech
    (synthesised with espeak-ng) are paired by the digit only. Images and
    voices of the three splits are disjoint: those of the test are never seen
    or heard in training or validation.

    Args:
        degrade: Optional dict `{modality: {degradation: strength}}`, applied to
            all splits: `{"audio": {"noise": 0.5}}` adds Gaussian noise of half
            the modality's standard deviation in the training set,
            `{"image": {"resolution": 4}}` averages blocks until 4x4 different
            values are left. See `keras_xkd.data.degrade`.
        labels: Optional integer: the number of training samples per digit that
            keep their label. The others get `y = -1`; train with
            `SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)`,
            or on `y_train >= 0`. Validation and test keep their labels.
        pairs: Optional integer: the number of training pairs per digit, of 120.
        missing: Optional dict `{modality: fraction}`: the share of training
            samples without this modality. Its values become 0, and all splits
            get `x["present"][modality]`, 1 or 0, shape `(N,)`. See
            `keras_xkd.data.missing`.
        seed: Seed of the choices and of the noise that the arguments ask for.
            The splits and the pairs do not depend on it.

    Returns:
        `(x_train, y_train), (x_val, y_val), (x_test, y_test)`: 1,200, 297 and
        300 samples. `y` is int32, shape `(N,)`, values 0 to 9. `x` is a dict:

        - `"image"`: float32 in `[0, 1]`, shape `(N, 8, 8, 1)`.
        - `"audio"`: float32, shape `(N, 40, 32)`, frames by mel bands,
          standardised with the mean and standard deviation of the training
          set.
        - `"sample_id"`: int32, shape `(N,)`, 0 to 1,796 over all splits,
          0 to 1,199 in the training set.

    Example:

    >>> from keras_xkd.datasets import av_digits
    >>> (x_train, y_train), _, _ = av_digits.load_data(labels=5)
    >>> x_train["image"].shape, x_train["audio"].shape
    ((1200, 8, 8, 1), (1200, 40, 32))
    >>> int((y_train >= 0).sum())
    50
    """
    arrays = _read()
    x, y, scale = _standardise(arrays)
    if degrade is not None:
        x = views.degrade(x, degrade, seed, scale)
    train, validation, test = (
        (views.take(x, rows), y[rows]) for rows in _rows(arrays)
    )
    if pairs is not None:
        train = views.few_labels(*train, pairs, seed)
    if labels is not None:
        train = (train[0], views.hide_labels(train[1], labels, seed))
    if missing is not None:
        train = (views.missing(train[0], missing, seed), train[1])
        validation, test = (
            (views.missing(x, {}), y) for x, y in (validation, test)
        )
    return train, validation, test


@keras_xkd_export("keras_xkd.datasets.av_digits.load_metadata")
def load_metadata() -> tuple[dict[str, np.ndarray], ...]:
    """Says who speaks in each sample of `load_data`, and where images are from.

    Returns:
        Three dicts, for train, validation and test, of arrays `(N,)`:

        - `"speaker"`: int32, 0 to 127.
        - `"voice"`, `"accent"`: the names that espeak-ng uses.
        - `"source_row"`: int32, the row in scikit-learn's `load_digits`.

    Example:

    >>> from keras_xkd.datasets import av_digits
    >>> train, validation, test = av_digits.load_metadata()
    >>> len(set(train["voice"])), set(train["voice"]) & set(test["voice"])
    (40, set())
    """
    arrays = _read()
    speaker = arrays["speaker"].astype("int32")
    data = {
        "speaker": speaker,
        "voice": arrays["speaker_voice"][speaker],
        "accent": arrays["speaker_accent"][speaker],
        "source_row": arrays["source_row"].astype("int32"),
    }
    return tuple(views.take(data, rows) for rows in _rows(arrays))


def _read():
    with np.load(PATH, allow_pickle=False) as archive:
        return dict(archive)


def _rows(arrays):
    return [arrays["split"] == index for index in range(len(SPLITS))]


def _standardise(arrays):
    """Returns `x`, `y` and the training standard deviation by modality."""
    train = arrays["split"] == 0
    image = arrays["image"].astype("float32")[..., None] / 16
    audio = arrays["audio"].astype("float64")
    audio = (audio - audio[train].mean()) / audio[train].std()
    x = {
        "image": image,
        "audio": audio.astype("float32"),
        "sample_id": np.arange(len(image), dtype="int32"),
    }
    scale = {"image": float(image[train].std()), "audio": 1.0}
    return x, arrays["label"].astype("int32"), scale
