from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.backend import as_dataset
from keras_xkd.data import views
from keras_xkd.data.checks import check_positive
from keras_xkd.data.collate import Batches
from keras_xkd.data.collate import check_length
from keras_xkd.data.rows import PairedRows
from keras_xkd.data.rows import Rows
from keras_xkd.data.source import open_builder
from keras_xkd.typing import Builder, Dataset, PathLike


@keras_xkd_export("keras_xkd.data.load")
def load(
    dataset: str | Builder | Mapping[str, str | Builder],
    modalities: str | Sequence[str] | Mapping[str, str] | None = None,
    split: str = "train",
    *,
    batch_size: int = 32,
    label: str | None = "label",
    few_labels: int | None = None,
    unlabelled: int | None = None,
    missing: Mapping[str, float] | None = None,
    length: Mapping[str, int] | None = None,
    padding_mask: Sequence[str] = (),
    preprocess: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
    shuffle: bool = True,
    seed: int = 0,
    drop_remainder: bool = False,
    sample_id: bool = True,
    workers: int = 1,
    prefetch: int = 4,
    data_dir: PathLike | None = None,
    manual_dir: PathLike | None = None,
    builder_kwargs: Mapping[str, Any] | None = None,
) -> Dataset:
    """Batches of a multimodal data set, as `fit` takes them.

    Reads any data set of tensorflow-datasets, those of `keras_xkd.datasets`
    among them, and prepares it first where that has not been done. Batches
    are made in threads while the model trains. What is returned is a
    `tf.data.Dataset` on TensorFlow, a `torch.utils.data.DataLoader` on PyTorch
    and a Grain data set on JAX, with the same batches in the same order.

    Each batch is `(x, y)`, or `x` without labels: `x` is a dict with an array
    for each modality; `x["sample_id"]`, which counts the samples of the data
    set through, those of the split "train" from 0 on, so that a part of a
    split has the numbers of the whole; and `x["present"]` if a sample may
    lack a modality.

    **Other models.** A Functional model of Keras with a dict of inputs picks
    by position, not by name, where a batch has more entries than it reads: it
    may take `sample_id`, `present` or another modality for its own, with only
    a warning. Name the modalities that it reads and give `sample_id=False`,
    or `map` the data set. On JAX, where Keras does not ask a Grain data set
    for its length, such a model warns that the data ran out; it did not.

    Example:

    ```python
    train = keras_xkd.data.load(
        "ravdess",
        ["video", "audio"],
        "train",
        manual_dir="~/RAVDESS",
        length={"video": 16, "audio": 48_000},
        preprocess=[video_encoder.preprocess],
        batch_size=32,
    )
    distiller.fit(train, epochs=10)
    ```

    Pairs of two data sets that share their classes:

    ```python
    train = keras_xkd.data.load({"image": "mnist", "audio": "spoken_digit"})
    ```

    Args:
        dataset: Name of a data set, or a builder of tensorflow-datasets. Or a
            dict `{modality: name or builder}`: samples are then paired by
            their label. Each of several data sets has one feature of the name
            of its modality, or `modalities` says which.
        modalities: The features to read: a name, a list, or a dict `{modality:
            feature}` which renames them. By default all but the label.
        split: Split in the notation of tensorflow-datasets, such as
            `"train[:80%]"`.
        batch_size: Samples in a batch.
        label: Name of the feature with the label; None for batches without.
        few_labels: Keeps only that many samples of each class, those of
            `keras_xkd.data.few_labels`.
        unlabelled: Leaves out as many samples of each class, and all labels:
            what `few_labels` with the same number and seed does not keep.
        missing: Dict `{modality: fraction}` of samples that lose a modality,
            as in `keras_xkd.data.missing`.
        length: Dict `{modality: n}`. Sequences (frames of a video, samples of
            audio, steps of features) are cut or padded with zeros to `n`.
            Without it they are padded to the longest of their batch, and JAX
            compiles a step for each length that occurs.
        padding_mask: Modalities that come as `{"frames": values,
            "padding_mask": mask}`, with a mask of shape `(batch, n)`, true
            where a sequence was not padded.
        preprocess: A function from `x` to `x`, or a list of them, such as the
            `preprocess` of encoders. They get NumPy arrays (text: of `str`),
            in the threads that make the batches.
        shuffle: Whether every epoch has a random order of its own.
        seed: Seed of order, choices and pairs.
        drop_remainder: Whether to leave out a last batch that is shorter.
        sample_id: Whether `x` has the entry of this name. Distillers and the
            models of this package leave it out where it is not wanted; see
            the note on other models.
        workers: Number of threads. More than one pays where most of the work
            is in decoding large images.
        prefetch: Number of batches that are made ahead.
        data_dir: Where tensorflow-datasets keeps what it prepared, for data
            sets given by name.
        manual_dir: Folder with the files of a data set that is not prepared
            yet, for those that cannot be downloaded.
        builder_kwargs: Dict of further arguments for the builder of a data set
            given by name.

    Returns:
        A `tf.data.Dataset`, a `torch.utils.data.DataLoader` or, on JAX, a
        `grain.IterDataset`. Its method `unshuffled()` returns all samples, the
        remainder too, in their order.

    Raises:
        ValueError: If a split, a modality or a label does not exist, or an
            argument is out of range; while iterating, if samples differ in
            more than their length.
        ImportError: If tensorflow-datasets or Grain is not installed.
    """
    check_positive(batch_size=batch_size, workers=workers, prefetch=prefetch)
    rows = _open(
        dataset,
        modalities,
        split,
        label,
        seed,
        data_dir=data_dir,
        manual_dir=manual_dir,
        builder_kwargs=builder_kwargs,
    )
    check_length(length or {}, rows.sequences)
    _check_sequences(padding_mask, rows.sequences)
    kept, labels = _view(rows, few_labels, unlabelled, seed)
    settings = dict(
        batch_size=batch_size,
        length=length or {},
        masked=tuple(padding_mask),
        masks=_masks(rows, missing, seed),
        labels=labels,
        preprocess=[preprocess] if callable(preprocess) else list(preprocess),
        drop_remainder=drop_remainder,
        sample_id=sample_id,
    )
    if len(Batches(rows, kept, **settings)) == 0:
        raise ValueError(
            f"{rows.name} has {len(kept)} samples to choose from, less than a "
            f"batch. Received: batch_size={batch_size}, "
            f"drop_remainder={drop_remainder}"
        )

    def make_batches(epoch):
        order = kept
        if shuffle:
            order = np.random.default_rng((seed, epoch)).permutation(kept)
        return Batches(rows, order, **settings)

    def all_in_order(epoch):
        return Batches(rows, kept, **{**settings, "drop_remainder": False})

    def unshuffled():
        return _as_dataset(all_in_order, rows, length, workers, prefetch)

    result = _as_dataset(make_batches, rows, length, workers, prefetch)
    result.unshuffled = unshuffled
    return result


def _open(dataset, modalities, split, label, seed, **opening):
    if not isinstance(dataset, dict):
        builder = open_builder(dataset, **opening)
        if label == "label" and label not in builder.info.features:
            label = None
        return Rows(builder, split, modalities, label)
    if len(dataset) < 2 or label is None:
        raise ValueError(
            "Samples are paired by their label: `dataset` must be a dict of "
            "two data sets or more, and `label` the name of a feature. "
            f"Received: dataset={dataset}, label={label}"
        )
    features = modalities if isinstance(modalities, dict) else {}
    rows = {}
    for m, part in dataset.items():
        builder = open_builder(part, **opening)
        chosen = {m: features.get(m, m)}
        rows[m] = Rows(builder, split, chosen, label)
    return PairedRows(rows, seed)


def _view(rows, few_labels, unlabelled, seed):
    """The rows that are kept, and what replaces their labels."""
    if few_labels is not None and unlabelled is not None:
        raise ValueError(
            "Give either `few_labels` or `unlabelled`. Received: "
            f"few_labels={few_labels}, unlabelled={unlabelled}"
        )
    everything = np.arange(len(rows))
    if few_labels is None and unlabelled is None:
        return everything, False if rows.label is None else None
    if rows.label is None:
        raise ValueError(
            f"{rows.name} has no label to choose samples by. Received: "
            f"few_labels={few_labels}, unlabelled={unlabelled}"
        )
    x = {"row": everything}
    labels = rows.labels()
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"Samples are chosen by class: the label of {rows.name} must be "
            f"whole numbers. Received: labels of type {labels.dtype}"
        )
    if few_labels is not None:
        x, _ = views.few_labels(x, labels, few_labels, seed)
        return x["row"], labels
    return views.unlabelled(x, labels, unlabelled, seed)["row"], False


def _masks(rows, missing, seed):
    """Which rows keep a modality, `{modality: (N,)}`."""
    if not missing:
        return {}
    x = {m: np.zeros(len(rows), "bool") for m in rows.features}
    return views.missing(x, missing, seed)["present"]


def _as_dataset(make_batches, rows, length, workers, prefetch):
    epochs = _import_epochs().Epochs(make_batches, workers, prefetch)
    open_axes = [m for m in rows.sequences if m not in (length or {})]
    return as_dataset(epochs, open_axes)


def _import_epochs():
    try:
        from keras_xkd.data import epochs
    except ImportError as error:
        raise ImportError(
            "Batches are made by Grain, which is not installed. Install it, "
            "or the extra `data` of this package: "
            '`pip install "keras-xkd[data]"`.',
            name="grain",
        ) from error
    return epochs


def _check_sequences(padding_mask, sequences):
    if isinstance(padding_mask, str) or set(padding_mask) - set(sequences):
        raise ValueError(
            "`padding_mask` must be a list of modalities that are sequences, "
            f"among {list(sequences)}. Received: padding_mask={padding_mask!r}"
        )
