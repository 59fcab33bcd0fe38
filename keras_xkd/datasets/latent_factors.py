"""Gaussian latent factors, shared and private, with known information.

Every modality is a noisy linear view of factors that all modalities share and
of factors of its own. Everything is jointly Gaussian, so the mutual
information between the views is known exactly.
"""

import math
import typing
from collections.abc import Mapping

import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.gaussian_information import SHARED
from keras_xkd.datasets.gaussian_information import mutual_information
from keras_xkd.datasets.gaussian_information import thresholds


class LatentFactors(typing.NamedTuple):
    """The result of `latent_factors.load_data`.

    Attributes:
        x: Dict `{modality: (N, dim) float32}`.
        y: Labels, int32, shape `(N,)`.
        factors: Dict `{"shared" or modality: (N, number) float32}`.
        mutual_information: Dict of floats, in nats.
    """

    x: dict[str, np.ndarray]
    y: np.ndarray
    factors: dict[str, np.ndarray]
    mutual_information: dict[str, float]

    def __repr__(self) -> str:
        def widths(parts):
            return ", ".join(f"{k} ({v.shape[-1]})" for k, v in parts.items())

        known = self.mutual_information.items()
        return "\n".join(
            [
                f"LatentFactors: {len(self.y)} samples",
                f"  x: {widths(self.x)}",
                f"  y: {len(np.unique(self.y))} classes",
                f"  factors: {widths(self.factors)}",
                "  mutual information, nats: "
                + ", ".join(f"{k} {v:.3f}" for k, v in known),
            ]
        )


@keras_xkd_export("keras_xkd.datasets.latent_factors.load_data")
def load_data(
    num_samples: int = 2000,
    dims: Mapping[str, int] | None = None,
    shared: int = 4,
    private: int | Mapping[str, int] = 4,
    noise: float | Mapping[str, float] = 0.5,
    label_share: Mapping[str, float] | None = None,
    label_noise: float = 0.0,
    num_classes: int = 2,
    seed: int = 0,
    sample_seed: int | None = None,
) -> LatentFactors:
    """Draws views of shared and private Gaussian factors, and labels.

    All factors are independent standard Gaussians. The view of a modality is

    `x_m = c_m (A_m [z_shared ; z_m] + noise_m * e_m)`

    with a fixed random matrix `A_m` of orthonormal columns, standard Gaussian
    `e_m`, and `c_m` such that the mean variance of the entries is 1.

    The label is one of `num_classes` equally probable intervals of a score
    `u = sum_g sqrt(label_share_g) v_g . z_g + label_noise * e`, where `g` runs
    over the shared and the private factors and `v_g` is the unit vector of
    equal entries.

    A modality knows `(label_share_shared + label_share_m) / (1 + noise_m^2)`
    of the variance of the noiseless score. So, to change what is common to
    the modalities while the label information of `"b"` stays as it is, move
    share from `"b"` to `"shared"` (or factors from `private` to `shared`).

    Args:
        num_samples: Number of samples, N.
        dims: Dict `{modality: dimension}`; its keys name the modalities. By
            default `{"a": 16, "b": 16}`.
        shared: Number of factors that all modalities share.
        private: Number of factors of each modality alone, an integer or a dict
            by modality.
        noise: Standard deviation of the noise, relative to factors of variance
            1; a number or a dict by modality. Must be positive, for without
            noise the information is infinite.
        label_share: Dict with the share of the score's variance that comes
            from `"shared"` and from the private factors of each modality. The
            shares sum to 1. By default `{"shared": 1.0}`.
        label_noise: Standard deviation of the noise in the score, whose own
            variance is 1.
        num_classes: Number of classes.
        seed: Seed of the matrices, and of the samples if `sample_seed` is
            `None`.
        sample_seed: Seed of the samples. Calls with one `seed` and different
            values here give training and test data of the same problem.

    Returns:
        A named tuple `(x, y, factors, mutual_information)`:

        - `x`: Dict `{modality: (N, dim) float32}`.
        - `y`: Labels, int32, shape `(N,)`.
        - `factors`: Dict with `"shared"` and the private factors of each
          modality, shape `(N, number)`, float32.
        - `mutual_information`: Dict, in nats. For modalities `"a"`, `"b"`:
          `"a;b"` is I(x_a; x_b), `"a;shared"` is I(x_a; z_shared), `"a;y"` is
          I(x_a; y), `"a,b;y"` is that of all modalities together, and so on.

    Example:

    >>> from keras_xkd.datasets import latent_factors
    >>> data = latent_factors.load_data(dims={"a": 8, "b": 6}, shared=2)
    >>> data.x["b"].shape
    (2000, 6)
    >>> round(data.mutual_information["a;b"], 4)
    1.0217
    """
    dims = {"a": 16, "b": 16} if dims is None else dict(dims)
    private = _by_modality("private", private, dims)
    noise = _by_modality("noise", noise, dims)
    shares = {SHARED: 1.0} if label_share is None else dict(label_share)
    sizes = {SHARED: shared, **private}
    _check(dims, sizes, noise, shares, label_noise, num_classes)

    columns = _columns(sizes)
    rng = np.random.default_rng(seed)
    mixing = {
        m: _mixing_matrix(dims[m], columns[SHARED] + columns[m], sizes, rng)
        for m in dims
    }
    direction = _label_direction(shares, columns)
    if sample_seed is not None:
        rng = np.random.default_rng([seed, sample_seed])
    z = rng.standard_normal((num_samples, sum(sizes.values())))
    x = {}
    for m, matrix in mixing.items():
        view = z @ matrix.T
        view += noise[m] * rng.standard_normal(view.shape)
        signal = np.mean(np.sum(matrix**2, axis=1))
        x[m] = (view / np.sqrt(signal + noise[m] ** 2)).astype("float32")
    score = z @ direction + label_noise * rng.standard_normal(num_samples)
    y = np.searchsorted(thresholds(num_classes, label_noise), score)
    return LatentFactors(
        x,
        y.astype("int32"),
        {g: z[:, own].astype("float32") for g, own in columns.items()},
        mutual_information(
            mixing, noise, columns, direction, label_noise, num_classes
        ),
    )


def _columns(sizes):
    """Lists the positions of each group of factors."""
    ends = np.cumsum(list(sizes.values()))
    return {
        group: list(range(end - size, end))
        for (group, size), end in zip(sizes.items(), ends)
    }


def _mixing_matrix(dim, columns, sizes, rng):
    """`(dim, all factors)`, orthonormal in `columns` and 0 elsewhere."""
    matrix = np.zeros((dim, sum(sizes.values())))
    random = rng.standard_normal((dim, len(columns)))
    matrix[:, columns] = np.linalg.qr(random)[0]
    return matrix


def _label_direction(shares, columns):
    """The unit vector that takes the factors to the noiseless score."""
    direction = np.zeros(sum(len(own) for own in columns.values()))
    for group, share in shares.items():
        if share:
            own = columns[group]
            direction[own] = math.sqrt(share / len(own))
    return direction


def _by_modality(argument, value, dims):
    if not isinstance(value, dict):
        return {m: value for m in dims}
    if set(value) != set(dims):
        raise ValueError(
            f"`{argument}` must have the keys of `dims`, {list(dims)}. "
            f"Received: {value}"
        )
    return {m: value[m] for m in dims}


def _check(dims, sizes, noise, shares, label_noise, num_classes):
    if not dims or SHARED in dims:
        raise ValueError(
            "`dims` must name at least one modality, and none may be called "
            f"'{SHARED}'. Received: {dims}"
        )
    for m, dim in dims.items():
        if sizes[SHARED] < 0 or sizes[m] < 0 or sizes[SHARED] + sizes[m] < 1:
            raise ValueError(
                "The numbers of factors must not be negative, and each "
                f"modality needs one. Received: {sizes}"
            )
        if dim < sizes[SHARED] + sizes[m]:
            raise ValueError(
                f"The dimension of '{m}' must be at least its number of "
                f"factors, {sizes[SHARED] + sizes[m]}. Received: {dim}"
            )
        if not noise[m] > 0:
            raise ValueError(f"`noise` must be positive. Received: {noise}")
    unknown = sorted(set(shares) - set(sizes))
    if unknown:
        raise ValueError(
            f"Unknown key in `label_share`: {unknown}. Known: {list(sizes)}"
        )
    empty = [g for g, share in shares.items() if share and not sizes[g]]
    if empty:
        raise ValueError(
            f"`label_share` must name groups that have factors, not {empty}. "
            "By default the shared ones have all of it: with `shared=0`, pass "
            f"`label_share`. Received: label_share={shares}"
        )
    if min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(
            "The values of `label_share` must not be negative and must sum to "
            f"1. Received: {shares}"
        )
    if label_noise < 0:
        raise ValueError(
            f"`label_noise` must not be negative. Received: {label_noise}"
        )
    if num_classes < 2:
        raise ValueError(
            f"`num_classes` must be at least 2. Received: {num_classes}"
        )
