"""Small data sets for cross-modal distillation, in the manner of Keras.

```python
from keras_xkd.datasets import av_digits

(x_train, y_train), (x_val, y_val), (x_test, y_test) = av_digits.load_data()
```
"""

from keras_xkd.datasets import av_digits
from keras_xkd.datasets import correlated_gaussians
from keras_xkd.datasets import gaussian_information
from keras_xkd.datasets import latent_factors
from keras_xkd.datasets import two_moons

__all__ = [
    "av_digits",
    "correlated_gaussians",
    "gaussian_information",
    "latent_factors",
    "two_moons",
]
