"""Which rows of two arrays belong together, learned by two small networks."""

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_xkd.diagnostics.halves import contrast
from keras_xkd.losses.info_nce import info_nce

WIDTH, EMBEDDING, TEMPERATURE = 128, 32, 0.1
STEPS, CHECK, PATIENCE, BATCH = 1000, 25, 8, 128


def network_critic(a, b, seed=0):
    """Learns from paired rows with `InfoNCE`; a quarter says when to stop.

    Returns:
        A function `(a, b) -> scores` of pairs that gives the matrix of the
        scores of all rows of `a` with all rows of `b`.
    """
    rng = np.random.default_rng(seed)
    held_out, rest = np.split(rng.permutation(len(a)), [len(a) // 4])
    mean, scale = zip(*((x.mean(0), x.std(0)) for x in (a, b)))

    def inputs(*pair):
        return [
            ((x - m) / np.maximum(s, 1e-12)).astype("float32")
            for x, m, s in zip(pair, mean, scale)
        ]

    model = _encoders([a.shape[1], b.shape[1]], seed)

    def score(a, b):
        embeddings = ops.convert_to_numpy(model(inputs(a, b))).astype("float64")
        length = np.linalg.norm(embeddings, axis=-1, keepdims=True)
        u, v = np.moveaxis(embeddings / np.maximum(length, 1e-12), 1, 0)
        return u @ v.T / TEMPERATURE

    batch = min(BATCH, len(rest))
    unused, train = np.zeros(batch), inputs(a[rest], b[rest])
    best, weights, since = -np.inf, None, 0
    for step in range(1, STEPS + 1):
        rows = rng.choice(len(rest), batch, replace=False)
        model.train_on_batch([x[rows] for x in train], unused)
        if step % CHECK == 0:
            value = contrast(score(a[held_out], b[held_out])).mean()
            since += 1
            if value > best:
                best, weights, since = value, model.get_weights(), 0
            if since == PATIENCE:
                break
    model.set_weights(weights)
    return score


def _encoders(widths, seed):
    """Both encoders as one model, whose output is `(batch, 2, EMBEDDING)`."""
    inputs, outputs = [], []
    for number, width in enumerate(widths):
        x = keras.Input((width,))
        inputs.append(x)
        for units, activation in ((WIDTH, "relu"), (EMBEDDING, None)):
            start = keras.initializers.GlorotUniform(seed + 2 * units + number)
            x = layers.Dense(units, activation, True, start, dtype="float32")(x)
        outputs.append(layers.Reshape((1, EMBEDDING), dtype="float32")(x))
    pair = layers.Concatenate(axis=1, dtype="float32")(outputs)
    model = keras.Model(inputs, pair)
    model.compile(
        keras.optimizers.Adam(1e-3),
        lambda _, pair: info_nce(pair[:, 0], pair[:, 1], TEMPERATURE),
    )
    return model
