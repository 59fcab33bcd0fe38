"""Networks, and tools that make networks."""

from keras_xkd.models.tap import tap
