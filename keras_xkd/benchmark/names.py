"""Names that the command line shows, without importing Keras."""

BACKENDS = ("jax", "tensorflow", "torch")
METHODS = ("kd", "features", "cmd", "cmc", "amid", "umt", "mke")
SIZES = ("mlp", "conv", "transformer")
