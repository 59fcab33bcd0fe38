"""Builders for tensorflow-datasets, which is imported when they are used."""

import importlib
from typing import Any

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Builder

# Classes and their modules. The modules import tensorflow-datasets.
BUILDERS = {
    "AVMNIST": "av_mnist",
    "CMUMOSEI": "cmu_mosei",
    "CMUMOSI": "cmu_mosi",
    "NYUDepthV2": "nyu_depth_v2",
    "PairedMedia": "paired_media",
    "RAVDESS": "ravdess",
    "UCF101": "ucf101",
    "VEGAS": "vegas",
}
CLASSES = {"MultimodalBuilder": "multimodal_builder"} | BUILDERS


@keras_xkd_export("keras_xkd.datasets.builders")
def builders() -> dict[str, type]:
    """The builders of this package, `{name: class}`.

    The names are those that `builder` and `keras_xkd.data.load` take.

    Example:

    >>> from keras_xkd import datasets
    >>> "ravdess" in datasets.builders()
    True
    """
    return {module: builder_class(name) for name, module in BUILDERS.items()}


@keras_xkd_export("keras_xkd.datasets.builder")
def builder(name: str, **kwargs: Any) -> Builder:
    """A builder by name: one of this package or of tensorflow-datasets.

    Args:
        name: A key of `keras_xkd.datasets.builders()` or the name of its class,
            such as `"ravdess"`, `"RAVDESS"`, `"av_mnist"`; or else what
            `tfds.builder` takes, such as `"mnist"`. A configuration may follow:
            `"name/configuration"`.
        **kwargs: Arguments of the builder, such as `manual_dir` and `data_dir`.

    Example:

    ```python
    builder = keras_xkd.datasets.builder("ravdess", manual_dir="downloads")
    ```
    """
    head, slash, config = str(name).partition("/")
    if is_ours(name):
        ours = {_plain(known): known for known in BUILDERS}
        head = builder_class(ours[_plain(name)]).name
    return import_tfds().builder(head + slash + config, **kwargs)


def is_ours(name):
    """Whether a name, with or without configuration, is one of `BUILDERS`."""
    return _plain(name) in map(_plain, BUILDERS)


def _plain(name):
    return str(name).partition("/")[0].lower().replace("_", "")


def builder_class(name):
    """The class of this name, from its module."""
    import_tfds()
    module = importlib.import_module(f"keras_xkd.datasets.{CLASSES[name]}")
    return getattr(module, name)


def import_tfds():
    """tensorflow-datasets, or an error that names the extra."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            "The builders of keras_xkd.datasets need tensorflow-datasets, "
            "which is not installed. Install the extra `data` of this package: "
            '`pip install "keras-xkd[data]"`.',
            name="tensorflow_datasets",
        ) from error
    return tensorflow_datasets
