"""The blocks of attention as NumPy loops in float64."""

import math

import numpy as np

from tests.test_case import to_numpy


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / e.sum()


def dense(layer, x):
    kernel, bias = (to_numpy(w).astype("float64") for w in layer.weights)
    return x @ kernel + bias


def normalise(layer, x):
    gamma, beta = (to_numpy(w).astype("float64") for w in layer.weights)
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / spread * gamma + beta


def attend(layer, queries, keys, there):
    """Multi-head attention of one sample, head by head, query by query."""
    weights = [to_numpy(w).astype("float64") for w in layer.weights]
    wq, bq, wk, bk, wv, bv, wo, bo = weights
    keys = keys[there]
    result = np.tile(bo, (len(queries), 1))
    for head in range(wq.shape[1]):
        q, k, v = (
            x @ w[:, head] + b[head]
            for x, w, b in ((queries, wq, bq), (keys, wk, bk), (keys, wv, bv))
        )
        for i, row in enumerate(q):
            share = softmax(k @ row / math.sqrt(len(row)))
            result[i] += (share @ v) @ wo[head]
    return result


def block(layer, x, tokens=None, positions=0.0, there=None):
    """`AttentionBlock` for one sample."""
    queries = normalise(layer.norm, x) + positions
    keys = queries
    if tokens is not None:
        keys = normalise(layer.token_norm, tokens)
    there = np.ones(len(keys), bool) if there is None else there
    x = x + attend(layer.attention, queries, keys, there)
    norm, wide, narrow = layer.perceptron.layers
    hidden = dense(wide, normalise(norm, x))
    gelu = np.vectorize(lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2)
    return x + dense(narrow, gelu(hidden))
