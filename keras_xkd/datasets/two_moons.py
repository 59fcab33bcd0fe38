"""Two moons with one coordinate per modality.

The toy problem of *Multimodal Knowledge Expansion* (ICCV 2021), with the
sizes, seeds and splits of the authors' published code.
"""

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.typing import Split


@keras_xkd_export("keras_xkd.datasets.two_moons.load_data")
def load_data(seed: int = 42) -> tuple[Split, Split, Split]:
    """Loads two moons as 30 labelled, 270 unlabelled and 200 test points.

    `make_moons(500, noise=0.1)`, standardised over all 500 points; 40 % are
    split off as the test, 90 % of the rest as unlabelled. The first
    coordinate is the modality `"alpha"`, the second is `"beta"`. The default
    seed gives the data of the authors' code.

    Needs scikit-learn (the extra `viz`).

    Args:
        seed: Seed of the points and of both splits.

    Returns:
        `(x_labelled, y_labelled), (x_unlabelled, y_unlabelled),
        (x_test, y_test)`. `x` is a dict with `"alpha"` and `"beta"`, float32,
        each of shape `(N, 1)`; `y` is int32, shape `(N,)`, 0 or 1.
        `y_unlabelled` are the true labels that the method must not see: they
        are for comparison only.

    Example:

    >>> from keras_xkd.datasets import two_moons
    >>> (x, y), (x_unlabelled, _), (x_test, y_test) = two_moons.load_data()
    >>> len(y), len(x_unlabelled["alpha"]), len(y_test)
    (30, 270, 200)
    """
    try:
        from sklearn.datasets import make_moons
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ImportError(
            "`two_moons.load_data` needs scikit-learn. Install it with "
            "`pip install keras-xkd[viz]`."
        ) from error

    points, y = make_moons(500, noise=0.1, random_state=seed)
    points = StandardScaler().fit_transform(points)
    points, test_points, y, y_test = train_test_split(
        points, y, test_size=0.4, random_state=seed
    )
    labelled, unlabelled, y_labelled, y_unlabelled = train_test_split(
        points, y, test_size=0.9, random_state=seed
    )
    return (
        _as_modalities(labelled, y_labelled),
        _as_modalities(unlabelled, y_unlabelled),
        _as_modalities(test_points, y_test),
    )


def _as_modalities(points, y):
    points = points.astype("float32")
    return {"alpha": points[:, :1], "beta": points[:, 1:]}, y.astype("int32")
