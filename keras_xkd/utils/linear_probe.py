"""How much of the labels a linear classifier can read off features."""


def linear_probe(features, labels, new):
    """The classes that logistic regression predicts.

    On standardised features; convex, so that the answer depends on no seed.

    Args:
        features: Array of shape `(samples, features)`.
        labels: Class indices, shape `(samples,)`, of two classes or more.
        new: The features of other samples.

    Returns:
        Class indices of `new`.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ImportError(
            "A linear probe needs scikit-learn. Install it with "
            "`pip install keras-xkd[viz]`."
        ) from error

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
    return probe.fit(features, labels).predict(new)
