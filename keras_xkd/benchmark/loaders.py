"""How long each kind of loader takes to read an epoch of generated clips.

All read the same array records; an epoch is read to its end and thrown away.
The choice of `keras_xkd.data.load` rests on this.
"""

import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

from keras_xkd.benchmark import record
from keras_xkd.benchmark.table import table
from keras_xkd.data.collate import Batches
from keras_xkd.data.rows import Rows
from keras_xkd.datasets.registry import import_tfds

FRAMES = 8
SAMPLES = 8000


def prepare(folder, size, pixels, file_format="array_record"):
    """A prepared builder of random clips."""
    tfds = import_tfds()

    class Clips(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        # It is no file of a package.
        pkg_dir_path = pathlib.Path(folder)

        def _info(self):
            image = tfds.features.Image(shape=(pixels, pixels, 3))
            sound = tfds.features.Tensor(shape=(None,), dtype=np.float32)
            features = tfds.features.FeaturesDict(
                {
                    "video": tfds.features.Sequence(image),
                    "audio": sound,
                    "label": tfds.features.ClassLabel(num_classes=5),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            rng = np.random.default_rng(0)
            shape = (FRAMES, pixels // 4, pixels // 4, 3)
            for i in range(size):
                # Blocks of pixels: noise would be slower to decode than films.
                frames = rng.integers(0, 255, shape).astype("uint8")
                frames = frames.repeat(4, 1).repeat(4, 2)
                yield (
                    i,
                    {
                        "video": list(frames),
                        "audio": rng.normal(size=SAMPLES).astype("float32"),
                        "label": int(rng.integers(5)),
                    },
                )

    builder = Clips(data_dir=pathlib.Path(folder) / file_format)
    builder.download_and_prepare(file_format=file_format)
    return builder


def loaders(builder, batch_size):
    """Functions that return an iterable over one epoch, by name."""
    from keras_xkd.data.epochs import Epochs

    rows = Rows(builder, "train")

    def batches(epoch):
        order = np.random.default_rng((0, epoch)).permutation(len(rows))
        return Batches(rows, order, batch_size)

    class Sequence(keras.utils.PyDataset):
        def __len__(self):
            return len(batches(0))

        def __getitem__(self, index):
            return batches(0)[index]

    found = {
        f"Grain, {n} thread{'s' * (n > 1)}": lambda n=n: Epochs(batches, n, 4)
        for n in (1, 2)
    }
    found["keras.utils.PyDataset"] = lambda: (
        batch for batch, _ in zip(Sequence(workers=1), range(len(batches(0))))
    )
    if keras.backend.backend() == "torch":
        import torch

        class Examples(torch.utils.data.Dataset):
            def __len__(self):
                return len(rows)

            def __getitem__(self, index):
                x, _, label = rows[index]
                # torch warns of arrays that it must not write to.
                return {m: np.array(v) for m, v in x.items()}, int(label)

        found["torch DataLoader, no workers"] = lambda: (
            torch.utils.data.DataLoader(Examples(), batch_size, shuffle=True)
        )
    if keras.backend.backend() == "tensorflow":
        from keras_xkd.backend import as_dataset

        through = as_dataset(Epochs(batches, 1, 4), ["video", "audio"])
        found["tf.data from Grain"] = lambda: through
    return found


def native(builder, batch_size):
    """`tf.data` over TFRecords, as tensorflow-datasets makes it."""
    tfds = import_tfds()
    # The cache that small data sets get would leave nothing to measure.
    config = tfds.ReadConfig(try_autocache=False)
    dataset = builder.as_dataset(
        split="train", shuffle_files=True, read_config=config
    )
    return dataset.shuffle(1000).batch(batch_size).prefetch(4)


def run(seeds, output, quick=False, arguments=("benchmark", "loaders")):
    """Prints and writes seconds per epoch, interleaved, first epoch left out.

    Args:
        seeds: The number of seeds is the number of epochs.
        output: Folder for the results.
        quick: Whether to read a few clips only.
        arguments: The command that led here, for the record.
    """
    size, results = (32, {}) if quick else (500, {})
    for pixels in (32,) if quick else (32, 128):
        with tempfile.TemporaryDirectory() as folder:
            kinds = loaders(prepare(folder, size, pixels), batch_size=32)
            if keras.backend.backend() == "tensorflow":
                records = prepare(folder, size, pixels, "tfrecord")
                dataset = native(records, batch_size=32)
                kinds["tf.data, TFRecords"] = lambda d=dataset: d
            seconds = {name: [] for name in kinds}
            for _ in range(len(seeds) + 1):
                for name, make in kinds.items():
                    start = time.perf_counter()
                    for _batch in make():
                        pass
                    seconds[name].append(time.perf_counter() - start)
        results[pixels] = {n: s[1:] for n, s in seconds.items()}
    header = ["loader", *(f"{p} x {p} pixels, ms a clip" for p in results)]
    names = list(next(iter(results.values())))
    rows = [
        [
            name,
            *(
                f"{1e3 * statistics.median(own[name]) / size:.2f}"
                for own in results.values()
            ),
        ]
        for name in names
    ]
    print(f"{table(header, rows)}\n\n{record.describe()}")
    path = pathlib.Path(output) / "loaders.json"
    record.write(path, results, arguments, seeds)
    return results
