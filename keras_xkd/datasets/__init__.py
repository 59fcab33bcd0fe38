"""Small data sets in the manner of Keras, and builders for large ones.

```python
from keras_xkd.datasets import av_digits

(x_train, y_train), (x_val, y_val), (x_test, y_test) = av_digits.load_data()
```

Builders for tensorflow-datasets read a corpus from a folder, in the form in
which it is distributed, and prepare it once:

```python
builder = keras_xkd.datasets.RAVDESS(manual_dir="downloads/ravdess")
builder.download_and_prepare()
train = builder.as_data_source("train")
```
"""

from keras_xkd.datasets import av_digits
from keras_xkd.datasets import correlated_gaussians
from keras_xkd.datasets import gaussian_information
from keras_xkd.datasets import latent_factors
from keras_xkd.datasets import media
from keras_xkd.datasets import registry
from keras_xkd.datasets import two_moons
from keras_xkd.datasets.file_error import DataFileError
from keras_xkd.datasets.registry import builder
from keras_xkd.datasets.registry import builders

__all__ = sorted(
    [
        "DataFileError",
        "av_digits",
        "builder",
        "builders",
        "correlated_gaussians",
        "gaussian_information",
        "latent_factors",
        "media",
        "two_moons",
        *registry.CLASSES,
    ]
)


def __getattr__(name):
    # Their modules import tensorflow-datasets.
    if name in registry.CLASSES:
        return registry.builder_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
