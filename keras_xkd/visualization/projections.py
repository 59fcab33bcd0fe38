"""Two dimensions of many, by scikit-learn."""

import numpy as np


def pca(x, seed):
    """The first two principal components, and what to write at the axes."""
    try:
        from sklearn.decomposition import PCA
    except ImportError as error:
        raise _missing(error) from error
    found = PCA(2, random_state=seed)
    points = found.fit_transform(x)
    shares = 100 * found.explained_variance_ratio_
    titles = [
        f"PC {i} ({s:.0f} % of variance)" for i, s in enumerate(shares, 1)
    ]
    return points, titles


def tsne(x, seed):
    """A map by t-SNE, whose axes mean nothing."""
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise _missing(error) from error
    perplexity = min(30, (len(x) - 1) / 3)  # The default of scikit-learn is 30.
    found = TSNE(2, perplexity=perplexity, random_state=seed)
    return found.fit_transform(x.astype("float32")), ["t-SNE 1", "t-SNE 2"]


METHODS = {"pca": pca, "tsne": tsne}


def check(x):
    """Raises if there is nothing that two dimensions could show."""
    if len(x) < 3 or x.shape[1] < 2 or np.all(x == x[0]):
        raise ValueError(
            "A map needs 3 samples or more of 2 features or more, not all the "
            f"same. Received: {len(x)} samples of {x.shape[1]} features"
            f"{', all the same' * bool(np.all(x == x[0]))}"
        )


def _missing(error):
    return ImportError(
        "Maps of embeddings need scikit-learn. Install it, or the extra `viz` "
        'of this package: `pip install "keras-xkd[viz]"`.',
        name=error.name,
    )
