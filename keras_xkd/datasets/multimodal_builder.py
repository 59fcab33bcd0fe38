"""What all builders of multimodal data sets have in common."""

import dataclasses
import inspect
import pathlib
import warnings
from collections.abc import Iterable
from typing import Any
from typing import Literal

import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.examples import read_example
from keras_xkd.datasets.multimodal_config import configure
from keras_xkd.datasets.preparation import Preparation
from keras_xkd.datasets.quiet import without_expected_messages
from keras_xkd.typing import PathLike

ON_ERROR = ("raise", "skip", "absent")


@keras_xkd_export("keras_xkd.datasets.MultimodalBuilder")
class MultimodalBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A tensorflow-datasets builder that reads a folder of your own.

    A subclass says what an example consists of (`features`) and which samples
    there are (`samples`). This class adds:

    - The folder, `manual_dir`, as an argument.
    - What happens to a file that is missing or damaged, `on_error`. Whatever
      is left out is announced in one warning and listed by `left_out`.
    - Choices that change the content, such as a frame rate, as keyword
      arguments. They are the fields of the class's configuration, and part of
      the name of the folder in which the prepared data lives.
    - ArrayRecord as the file format, so that `as_data_source()` reads the data
      without TensorFlow, at random positions.

    An example is a flat dict `{modality: value, "label": ..., "name": ...}`.
    If samples may lack a modality, the features have an entry `"present"`, a
    dict `{modality: bool}` that this class fills in; the value of a modality
    that a sample lacks is empty, or zeros where its shape is fixed.

    Preparation happens in a folder that is renamed at the end, so what was
    interrupted is never taken for data. The order of the samples depends on
    their keys only: preparing again gives the same records.

    Args:
        manual_dir: The folder with the data as distributed. It is needed to
            prepare the data, not to read it: it may be gone by then, but what
            is there must be what the data was prepared from.
        on_error: What to do with a file that is missing or damaged: `"raise"`
            a `DataFileError` that names it, `"skip"` the sample, or make that
            modality `"absent"`; where it cannot be absent, and if no modality
            is left, the sample is skipped. It acts when data is prepared: what
            was prepared with another `on_error` is read as it is, with a
            warning if something had been left out.
        config: A configuration, or its name, instead of single choices.
        file_format: Defaults to that of the prepared data, `"array_record"`.
        data_dir: Where prepared data lives, by default
            `~/tensorflow_datasets`.
        **choices: Fields of the class's configuration, and `version`.

    Example:

    ```python
    builder = keras_xkd.datasets.RAVDESS(
        manual_dir="downloads/ravdess", frame_rate=4, on_error="skip"
    )
    builder.download_and_prepare()
    source = builder.as_data_source("train")
    source[0]["audio"]  # float32 of shape (samples,)
    ```

    A builder of your own:

    ```python
    class Clips(keras_xkd.datasets.MultimodalBuilder):
        \"\"\"Clips with a number each.\"\"\"

        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder of `<number>.wav`."

        def features(self):
            return tfds.features.FeaturesDict({
                "audio": tfds.features.Tensor(shape=(None,), dtype=np.float32),
                "label": tfds.features.Scalar(dtype=np.float32),
                "name": tfds.features.Text(),
            })

        def samples(self, folder):
            return {"train": [
                (path.stem, {
                    "audio": functools.partial(read_wav, path),
                    "label": float(path.stem),
                    "name": path.stem,
                })
                for path in sorted(folder.glob("*.wav"))
            ]}
    ```
    """

    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE: str | None = None
    CITATION: str | None = None

    def __init__(
        self,
        *,
        manual_dir: PathLike | None = None,
        on_error: Literal["raise", "skip", "absent"] = "raise",
        config: Any = None,
        file_format: Any = None,
        **kwargs: Any,
    ) -> None:
        if on_error not in ON_ERROR:
            raise ValueError(
                f"`on_error` must be one of {', '.join(map(repr, ON_ERROR))}. "
                f"Received: on_error={on_error!r}"
            )
        self.manual_dir = manual_dir and pathlib.Path(manual_dir).expanduser()
        self.on_error = on_error
        self._found: list[dict[str, Any]] = []
        state = {k: kwargs[k] for k in ("data_dir", "version") if k in kwargs}
        choices = {k: v for k, v in kwargs.items() if k not in state}
        config = configure(type(self), config, choices)
        with without_expected_messages():
            super().__init__(config=config, file_format=file_format, **state)
        # For pickling: the arguments of the constructor.
        self._original_state.update(
            manual_dir=manual_dir, on_error=on_error, file_format=file_format
        )
        if self.is_prepared():
            preparation = self._preparation()
            preparation.check_choices(self._choices(), self.data_dir)
            preparation.check_source(self)
            preparation.compare_on_error(on_error, self.data_dir)
        elif file_format is None:
            self.info.set_file_format("array_record", override=True)

    # What a subclass defines.

    def features(self) -> tfds.features.FeatureConnector:
        """The `tfds.features.FeaturesDict` of an example."""
        raise NotImplementedError

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        """The samples by split, `{split: iterable of (key, example)}`.

        Keys are unique strings or numbers. A value of an example may be a
        function without arguments, which is called when the sample is written:
        reading files belongs there, so that a `DataFileError` concerns one
        modality of one sample. Images are uint8 or uint16 arrays, text is str.
        The value `None` says that the sample lacks this modality.

        Args:
            folder: A `pathlib.Path`, the `manual_dir`.
        """
        raise NotImplementedError

    def source_folder(
        self, dl_manager: tfds.download.DownloadManager
    ) -> pathlib.Path:
        """Where the data comes from, what `samples` gets: the `manual_dir`."""
        return pathlib.Path(dl_manager.manual_dir)

    def fingerprint(self, folder: pathlib.Path) -> str | None:
        """What the content depends on beside the choices; must not change.

        Override it where the data has no version of its own. Prepared data is
        not reused for a folder with another fingerprint: a `ValueError` says
        so as soon as a builder is made with that folder. It should be quick.
        """
        return None

    # What it does.

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """What the prepared data lacks because of missing or damaged files.

        A list of dicts: `split`, `key`, `modality`, `file`, `reason`, and
        `skipped`, whether the whole sample was left out.
        """
        return self._preparation().left_out

    def is_prepared(self) -> bool:
        """Whether there is prepared data, complete."""
        with without_expected_messages():
            return super().is_prepared()

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Prepares the data, unless that was done before.

        Takes what `tfds.core.DatasetBuilder.download_and_prepare` takes;
        a `manual_dir` in its `download_config` replaces the builder's own.
        """
        existed = self.is_prepared()
        super().download_and_prepare(**kwargs)
        preparation = self._preparation()
        if existed:
            preparation.check_source(self)
        if preparation.left_out:
            warnings.warn(preparation.summary(self.data_path), stacklevel=2)

    def _preparation(self):
        return Preparation.read(self.data_path)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=inspect.cleandoc(type(self).__doc__ or ""),
            features=self.features(),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
        )

    def _split_generators(self, dl_manager):
        self._found = []
        self._folder = folder = self.source_folder(dl_manager)
        return {
            split: self._generate_examples(split, samples)
            for split, samples in self.samples(folder).items()
        }

    def _generate_examples(self, split, samples):
        written = 0
        for key, example in samples:
            example, problems = read_example(
                example, self.info.features, self.on_error
            )
            self._found += [{"split": split, "key": key} | p for p in problems]
            if example is not None:
                written += 1
                yield key, example
        if not written:
            raise ValueError(
                f"No sample is left in the split {split!r} of {self._folder}."
                + "".join(f"\n{f['file']}: {f['reason']}" for f in self._found)
            )

    def _download_and_prepare(self, dl_manager, download_config=None):
        super()._download_and_prepare(dl_manager, download_config)
        # Beside the data, in the folder that is renamed at the end.
        Preparation(
            manual_dir=str(self._folder),
            choices=self._choices(),
            fingerprint=self.fingerprint(self._folder),
            left_out=self._found,
            on_error=self.on_error,
        ).write(self.data_path)

    def _make_download_manager(self, download_dir, download_config):
        if self.manual_dir and not download_config.manual_dir:
            download_config = dataclasses.replace(
                download_config, manual_dir=self.manual_dir
            )
        return super()._make_download_manager(download_dir, download_config)

    def _choices(self):
        return self.builder_config.choices() if self.builder_config else {}

    def _create_builder_config(self, builder_config, version):
        # tensorflow-datasets refuses an equal copy of a predefined one.
        for known in self.BUILDER_CONFIGS:
            if builder_config == known:
                builder_config = known
        return super()._create_builder_config(builder_config, version)
