import numpy as np
import pytest

from keras_xkd.datasets import correlated_gaussians


def columns_in_common(x):
    """How many columns of the teacher's view the student has too."""
    matches = x["teacher"][:, :, None] == x["student"][:, None, :]
    return int(matches.all(0).sum())


@pytest.mark.parametrize("overlap", range(11))
def test_views(overlap):
    train, test = correlated_gaussians.load_data(overlap=overlap)
    for (x, y), size in ((train, 200), (test, 1000)):
        assert x["student"].shape == (size, 50)
        assert x["teacher"].shape == (size, 25)
        assert x["student"].dtype == x["teacher"].dtype == np.float32
        assert y.shape == (size,)
        assert y.dtype == np.int32
        assert columns_in_common(x) == overlap


def test_the_twenty_decisive_dimensions_decide():
    # Without overlap both views together contain them all: the labels are
    # separable by a hyperplane through the origin in these 20 dimensions only.
    (x, y), (x_test, y_test) = correlated_gaussians.load_data(overlap=0)
    weights = np.random.default_rng(0).standard_normal(500)[:20]

    def decisive(x):
        return np.concatenate([x["student"][:, :10], x["teacher"][:, :10]], 1)

    np.testing.assert_array_equal(decisive(x) @ weights > 0, y)
    np.testing.assert_array_equal(decisive(x_test) @ weights > 0, y_test)


@pytest.mark.parametrize(
    ("gamma", "overlap"),
    [(0, 0), (0.11, 2), (0.25, 4), (0.43, 6), (0.67, 8), (1, 10), (2 / 3, 8)],
)
def test_gamma(gamma, overlap):
    (one, _), _ = correlated_gaussians.load_data(gamma=gamma)
    (two, _), _ = correlated_gaussians.load_data(overlap=overlap)
    np.testing.assert_array_equal(one["teacher"], two["teacher"])
    shared = correlated_gaussians.shared_fraction(overlap)
    np.testing.assert_allclose(shared, gamma, atol=0.006)


def test_the_default_is_full_overlap():
    (x, _), _ = correlated_gaussians.load_data()
    np.testing.assert_array_equal(x["student"][:, :10], x["teacher"][:, :10])


def test_overlaps_are_paired():
    (one, y_one), (_, test_one) = correlated_gaussians.load_data(0, seed=3)
    (two, y_two), (_, test_two) = correlated_gaussians.load_data(1, seed=3)
    np.testing.assert_array_equal(one["student"], two["student"])
    np.testing.assert_array_equal(y_one, y_two)
    np.testing.assert_array_equal(test_one, test_two)
    (other, _), _ = correlated_gaussians.load_data(1, seed=4)
    assert not np.array_equal(two["student"], other["student"])


def test_golden_values():
    (x, y), (_, y_test) = correlated_gaussians.load_data(overlap=4, seed=7)
    expected = [-0.285416, -1.506279, -0.977258]
    np.testing.assert_allclose(x["student"][0, :3], expected, atol=1e-5)
    np.testing.assert_allclose(x["teacher"][0, :3], expected, atol=1e-5)
    assert y[:10].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 1, 1]
    assert (y.sum(), y_test.sum()) == (106, 519)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0.5}, "`gamma` must be in"),
        ({"gamma": 1.2}, "`gamma` must be in"),
        ({"overlap": 11}, "from 0 to 10"),
        ({"overlap": -1}, "from 0 to 10"),
        ({"overlap": 2.5}, "from 0 to 10"),
        ({"gamma": 0, "overlap": 0}, "not both"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        correlated_gaussians.load_data(**options)


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def train(x, targets, steps=1000, rate=0.1):
    """Weights of softmax regressions, one per seed, by gradient descent.

    The sum of the targets' losses is minimised: cross-entropy and the KL
    divergence at temperature 1 have the same gradient, softmax - target.
    """
    w = np.zeros((len(x), x.shape[-1], 2), "float32")
    b = np.zeros((len(x), 1, 2), "float32")
    transposed = np.ascontiguousarray(np.swapaxes(x, 1, 2))
    for _ in range(steps):
        p = softmax(x @ w + b)
        gradient = sum(p - target for target in targets) / x.shape[1]
        w -= rate * (transposed @ gradient)
        b -= rate * gradient.sum(1, keepdims=True)
    return w, b


def test_the_gain_grows_with_the_overlap():
    seeds, gains = range(30), {}
    for overlap in (0, 10):
        data = [
            correlated_gaussians.load_data(overlap=overlap, seed=seed)
            for seed in seeds
        ]
        x, x_test = (
            {
                view: np.stack([d[part][0][view] for d in data])
                for view in ("student", "teacher")
            }
            for part in (0, 1)
        )
        y, y_test = (np.stack([d[part][1] for d in data]) for part in (0, 1))
        labels = np.eye(2, dtype="float32")[y]
        w, b = train(x["teacher"], [labels])
        soft = softmax(x["teacher"] @ w + b)
        accuracy = []
        for targets in ([labels], [labels, soft]):
            w, b = train(x["student"], targets)
            correct = (x_test["student"] @ w + b).argmax(-1) == y_test
            accuracy.append(100 * correct.mean(-1))
        gains[overlap] = accuracy[1] - accuracy[0]
    error = {o: g.std(ddof=1) / np.sqrt(len(g)) for o, g in gains.items()}
    assert gains[0].mean() < -3 * error[0]
    assert gains[10].mean() > 3 * error[10]
    assert -5 < gains[0].mean() < -1
    assert 1 < gains[10].mean() < 5
