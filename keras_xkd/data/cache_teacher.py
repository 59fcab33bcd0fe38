import contextlib
from collections.abc import Sequence
from typing import Literal

import keras

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.data.batches import batches
from keras_xkd.data.batches import few_batches
from keras_xkd.data.batches import kind_of
from keras_xkd.data.batches import number_of_batches
from keras_xkd.data.batches import with_row_numbers
from keras_xkd.data.batches import x_of
from keras_xkd.data.checks import check_positive
from keras_xkd.data.joined import joined
from keras_xkd.data.teacher_job import TeacherJob
from keras_xkd.data.teacher_reader import TeacherReader
from keras_xkd.data.teacher_records import lock
from keras_xkd.data.teacher_records import role_folder
from keras_xkd.data.teacher_run import TeacherRun
from keras_xkd.typing import DatasetT, Networks, PathLike


@keras_xkd_export("keras_xkd.data.cache_teacher")
def cache_teacher(
    teacher: keras.layers.Layer | Networks,
    dataset: DatasetT,
    directory: PathLike,
    role: str = "teacher",
    outputs: Sequence[str] | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    top_k: int | None = None,
    version: str = "",
    batch_size: int = 32,
    shard_size: int | None = None,
    overwrite: bool = False,
    verbose: Literal[0, 1, 2] = 1,
) -> DatasetT:
    """Runs a teacher over a data set once, and keeps what it returns.

    The outputs of each sample are written to `directory` under its
    `sample_id`, and come back as `x["teacher_outputs"][role]`, in whatever
    order and in whatever batches the data is read. Train with a
    `keras_xkd.layers.CachedTeacher` in the place of the teacher: the numbers
    are those of the teacher itself, up to the rounding of `dtype`.

    When it is called again, the cache is read and the teacher does not run. A
    cache that was interrupted, even by a kill, goes on where it was. One that
    does not fit, because the teacher was trained in between, or reads other
    data, is refused with the reason. What the teacher reads must be the same
    each time: random augmentation before it is refused, while augmentation of
    what the student alone reads does no harm.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from keras_xkd.distillers import CrossModalDistiller
    >>> from keras_xkd.layers import CachedTeacher
    >>> def classifier(modality, width):
    ...     inputs = keras.Input((width,), name=modality)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> x = {"audio": np.ones((8, 4)), "image": np.ones((8, 6))}
    >>> y = np.zeros(8, "int32")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x, y = cache_teacher(
    ...         classifier("image", 6), (x, y), folder, verbose=0
    ...     )
    ...     teacher = CachedTeacher.from_cache(folder)
    >>> x["teacher_outputs"]["teacher"]["logits"].shape
    (8, 3)
    >>> student = classifier("audio", 4)
    >>> distiller = CrossModalDistiller(student=student, teacher=teacher)
    >>> distiller.compile("adam", "sparse_categorical_crossentropy")
    >>> history = distiller.fit(x, y, verbose=0)

    Args:
        teacher: A built Keras network, or a dict `{role: network}`, all of
            which run in one pass over the data. In inference mode; absent
            samples of `x["present"]` count as zeros, as in training.
        dataset: What `fit` takes and can be iterated again: a
            `tf.data.Dataset`, a `torch.utils.data.DataLoader`, a Grain
            `MapDataset`, `IterDataset` or `DataLoader`, or a
            `keras.utils.PyDataset`, of batches `x`, `(x, y)` or
            `(x, y, sample_weight)`; or arrays of the whole data in the same
            forms. `x` is a dict; its entry `sample_id` has whole numbers of
            shape `(batch,)`. For arrays it is the number of the row where it
            is not given.
        directory: A folder. Each role gets one of its own there.
        role: Name of the teacher, if there is only one.
        outputs: Names of the outputs to keep. None keeps what the teacher
            returns; for a classifier that returns logits alone also the
            features before its head, in case that a loss asks for them.
        dtype: `"float32"`, or `"float16"` for half the space. Whole numbers
            keep their type.
        top_k: Keeps this many logits of each sample, the largest. The other
            classes share the probability that is left evenly: the softmax of
            those kept is exact at temperature 1.
        version: Any text. Change it when the preprocessing changes.
        batch_size: For arrays.
        shard_size: Samples of a file, which is what an interruption costs at
            most. By default 4,096, and fewer where these were over 256 MB.
        overwrite: Whether to write a cache again that is there.
        verbose: 1 for a progress bar, 2 for one line at the end, 0 for none.

    Returns:
        The data set, of the same kind, with `x["teacher_outputs"]`; arrays
        come as arrays, read into memory. Files are read while the training
        runs: by tf.data, by Grain's threads, by the workers of a torch
        `DataLoader` or a `PyDataset`.

    Raises:
        ValueError: If a cache does not fit, if a `sample_id` is missing or
            comes twice, or if an output is not finite, has another shape than
            before, or is too large for float16.
        RuntimeError: If the cache is being written by somebody else.
    """
    teachers = teacher if isinstance(teacher, dict) else {role: teacher}
    if verbose not in (0, 1, 2):
        raise ValueError(
            f"`verbose` must be 0, 1 or 2. Received: verbose={verbose!r}"
        )
    check_positive(batch_size=batch_size)
    if shard_size is not None:
        check_positive(shard_size=shard_size)
    if kind_of(dataset) == "arrays":
        numbered = "sample_id" not in x_of(dataset)
        dataset = with_row_numbers(dataset)
    else:
        numbered = False
    folders = {name: role_folder(directory, name) for name in teachers}
    jobs = [
        TeacherJob(
            TeacherRun(network, outputs, dtype, top_k, version),
            folders[name],
            shard_size,
            overwrite,
        )
        for name, network in teachers.items()
    ]
    # In one order, a job that was interrupted writes the same files.
    ordered = dataset
    if hasattr(dataset, "unshuffled"):  # It is from `keras_xkd.data.load`.
        ordered = dataset.unshuffled()
    for job in jobs:
        if job.complete:
            # The number of a row says little: then all rows are compared.
            look = batches if numbered else few_batches
            job.check(look(ordered, batch_size))
    _write(
        [job for job in jobs if not job.complete], ordered, batch_size, verbose
    )
    readers = {name: TeacherReader(path) for name, path in folders.items()}
    return joined(dataset, readers)


@keras_xkd_export("keras_xkd.data.add_teacher_outputs")
def add_teacher_outputs(
    dataset: DatasetT,
    directory: PathLike,
    roles: str | Sequence[str] = "teacher",
) -> DatasetT:
    """Adds the outputs of teachers that are cached to a data set.

    What `cache_teacher` returns, without the teacher and without what it
    reads: once its outputs are there, the student may be trained where
    neither is. Nothing checks that the data is that of the cache.

    Example:

    ```python
    audio = keras_xkd.data.add_teacher_outputs(audio, "outputs")
    ```

    Args:
        dataset: See `keras_xkd.data.cache_teacher`; `x` has a `sample_id`.
        directory: The folder that `cache_teacher` wrote.
        roles: The name of a teacher, or a list of them.

    Returns:
        The data set, of the same kind, with `x["teacher_outputs"]`.

    Raises:
        ValueError: If a cache is not there or not complete, or lacks a
            `sample_id`; the latter when the sample is read.
    """
    roles = [roles] if isinstance(roles, str) else roles
    folders = {role: role_folder(directory, role) for role in roles}
    return joined(dataset, {r: TeacherReader(f) for r, f in folders.items()})


def _write(jobs, dataset, batch_size, verbose):
    if not jobs:
        return
    with contextlib.ExitStack() as stack:
        for job in jobs:
            stack.enter_context(lock(job.folder))
            job.start()
        jobs = [job for job in jobs if not job.complete]
        for _ in range(2):
            for job in jobs:
                job.check_repeatable(few_batches(dataset, batch_size))
        count = number_of_batches(dataset, batch_size)
        bar = keras.utils.Progbar(count, verbose=verbose, unit_name="batch")
        done = 0
        for x, sample_id in batches(dataset, batch_size):
            for job in jobs:
                job.add(x, sample_id)
            done += 1
            bar.update(done, finalize=done == count)
        for job in jobs:
            job.check_repeatable(few_batches(dataset, batch_size))
            job.finish()
