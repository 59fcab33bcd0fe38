from collections.abc import Sequence
from typing import Any
from typing import Literal

import keras
import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.data.batches import chosen_batches
from keras_xkd.data.batches import few_batches
from keras_xkd.data.batches import is_indexed
from keras_xkd.data.batches import kind_of
from keras_xkd.data.batches import number_of_batches
from keras_xkd.data.batches import with_row_numbers
from keras_xkd.data.teacher_job import TeacherJob
from keras_xkd.data.teacher_job import check_columns
from keras_xkd.data.teacher_records import lock
from keras_xkd.data.teacher_records import read_shard
from keras_xkd.data.teacher_records import remove_shards
from keras_xkd.data.teacher_records import role_folder
from keras_xkd.data.teacher_records import shard_path
from keras_xkd.data.teacher_records import write_shard
from keras_xkd.data.teacher_run import TeacherRun
from keras_xkd.typing import Dataset, PathLike


@keras_xkd_export("keras_xkd.data.cache_teacher_on_beam")
def cache_teacher_on_beam(
    teacher: PathLike,
    dataset: Dataset,
    directory: PathLike,
    role: str = "teacher",
    outputs: Sequence[str] | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    top_k: int | None = None,
    version: str = "",
    batch_size: int = 32,
    shard_size: int | None = None,
    overwrite: bool = False,
    options: Any = None,
) -> None:
    """Runs a teacher over a data set on many machines, by Apache Beam.

    Writes what `keras_xkd.data.cache_teacher` writes, file by file, and is
    read in the same way: call `cache_teacher` or `add_teacher_outputs` after
    it. Each worker loads the teacher once and makes whole files, which the
    runner tries again where one fails; run again, the job makes those that
    are missing. Needs the extra `beam`.

    Example:

    ```python
    teacher.save("teacher.keras")
    keras_xkd.data.cache_teacher_on_beam(
        "teacher.keras", make_batches, "/shared/outputs",
        options=PipelineOptions(["--runner=FlinkRunner"]),
    )
    data = keras_xkd.data.add_teacher_outputs(data, "/shared/outputs")
    ```

    Args:
        teacher: Path of a `.keras` file that every worker can read. Classes
            of your own in it must be registered where a worker imports them.
        dataset: Batches with an index: a `keras.utils.PyDataset`, a Grain
            `MapDataset`, or arrays of the whole data; or a function without
            arguments that returns them, which each worker calls once. All
            batches but the last have the same number of samples.
        directory: A folder that every worker can write to.
        role: Name of the teacher.
        outputs: Names of the outputs to keep, None for all.
        dtype: `"float32"` or `"float16"`.
        top_k: Number of logits to keep, None for all.
        version: Any text. Change it when the preprocessing changes.
        batch_size: For arrays.
        shard_size: Samples of a file.
        overwrite: Whether to write a cache again that is there.
        options: `apache_beam` `PipelineOptions`; by default the runner of
            Beam for one machine, with one worker.

    Raises:
        ValueError, RuntimeError: As `cache_teacher`. What is raised by a
            worker comes as the runner passes it on.
    """
    beam = _import_beam()
    worker = _Worker(
        teacher, (outputs, dtype, top_k, version), dataset, batch_size
    )
    worker.setup()
    folder = role_folder(directory, role)
    job = TeacherJob(worker.run, folder, shard_size, overwrite)
    few = list(few_batches(worker.batches, batch_size))
    if job.complete:
        return job.check(few)
    with lock(folder):
        job.prepare()
        if job.complete:
            return job.check(few)
        job.check_repeatable(few)
        job.check_repeatable(few_batches(worker.batches, batch_size))
        job.samples = worker.measure(few)
        x, ids = few[0]
        job.describe(worker.run(worker.run.inputs(x), ids))
        worker.aim(folder, job.manifest, job.samples)
        count = -(-job.samples // job.shard_size)
        _run_pipeline(beam, worker, count, options)
        remove_shards(folder, first=count)  # Of attempts that failed.
        _check_ids(folder, count, job.samples)
        job.finish()


class _Worker:
    """Makes one file at a time; what is sent to another process is small."""

    def __init__(self, path, settings, dataset, batch_size):
        self.path = str(path)
        self.settings = settings
        self.dataset = dataset
        self.batch_size = batch_size

    def __getstate__(self):
        made_by_setup = ("run", "batches")
        return {n: v for n, v in vars(self).items() if n not in made_by_setup}

    def setup(self):
        network = keras.saving.load_model(self.path, compile=False)
        self.run = TeacherRun(network, *self.settings)
        made = callable(self.dataset)
        dataset = self.dataset() if made else self.dataset
        if not is_indexed(dataset):
            raise ValueError(
                "`dataset` must have batches with an index: a `PyDataset`, a "
                "Grain `MapDataset` or arrays, or a function that returns one. "
                f"Received: dataset of type {type(dataset).__name__}"
            )
        if kind_of(dataset) == "arrays":
            dataset = with_row_numbers(dataset)
        self.batches = dataset

    def measure(self, few):
        """The number of samples, by the first and the last batch."""
        count = number_of_batches(self.batches, self.batch_size)
        if not count:
            raise ValueError("The data set is empty: it has no batch.")
        self.count, self.size = count, len(few[0][1])
        return (count - 1) * self.size + len(few[-1][1])

    def aim(self, folder, manifest, samples):
        """What the files look like, known after the first batch."""
        self.folder = folder
        self.manifest = manifest
        self.samples = samples

    def write(self, index):
        """Makes the file `index`, unless it is there."""
        path = shard_path(self.folder, index)
        size = self.manifest["shard_size"]
        begin = index * size
        end = min(begin + size, self.samples)
        if path.is_dir():
            found = len(read_shard(path, "sample_id"))
            if found == end - begin:
                return
            raise ValueError(
                f"'{path}' must have {end - begin} samples of this data. "
                f"Received: {found}. Write the cache again with "
                "`overwrite=True`."
            )
        self.run.specs = self.manifest["outputs"]
        first, last = begin // self.size, -(-end // self.size)
        parts = [self._columns(i) for i in range(first, last)]
        begin, end = begin - first * self.size, end - first * self.size
        columns = {
            name: np.concatenate([part[name] for part in parts])[begin:end]
            for name in parts[0]
        }
        write_shard(path, columns)

    def _columns(self, index):
        ((x, ids),) = chosen_batches(self.batches, self.batch_size, [index])
        last = index == self.count - 1
        size = self.samples - index * self.size if last else self.size
        if len(ids) != size:
            raise ValueError(
                "All batches but the last must have the same number of "
                f"samples. Received: {len(ids)} in batch {index}, not {size}"
            )
        inputs = self.run.inputs(x)
        columns = self.run(inputs, ids)
        check_columns(columns, self.manifest["columns"])
        hashes = self.run.hashes(inputs)
        return {**columns, "sample_id": ids, "input_hash": hashes}


def _run_pipeline(beam, worker, count, options):
    from apache_beam.options.pipeline_options import PipelineOptions

    class WriteShard(beam.DoFn):
        def setup(self):
            self.worker = worker
            self.worker.setup()

        def process(self, index):
            self.worker.write(index)

    # Without options of its own, Beam would read those of the command line.
    with beam.Pipeline(options=options or PipelineOptions([])) as pipeline:
        indices = pipeline | "Shards" >> beam.Create(range(count))
        _ = indices | beam.Reshuffle() | "Write" >> beam.ParDo(WriteShard())


def _check_ids(folder, count, samples):
    """Raises unless each sample was written once."""
    ids = [read_shard(shard_path(folder, i), "sample_id") for i in range(count)]
    ids, times = np.unique(np.concatenate(ids), return_counts=True)
    if len(ids) != samples:
        raise ValueError(
            "Each sample must have a `sample_id` of its own. Received twice: "
            f"{ids[times > 1][:10].tolist()}"
        )


def _import_beam():
    try:
        import apache_beam
    except ImportError as error:
        raise ImportError(
            "Apache Beam is not installed. Install it, or the extra `beam` of "
            'this package: `pip install "keras-xkd[beam]"`.',
            name="apache_beam",
        ) from error
    return apache_beam
