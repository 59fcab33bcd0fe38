import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_xkd.datasets import gaussian_information
from keras_xkd.datasets import latent_factors
from keras_xkd.diagnostics import mutual_information
from keras_xkd.diagnostics import network_critic
from keras_xkd.diagnostics.halves import contrast
from tests.test_case import assert_golden


def correlated(rho, count, width=1, seed=0):
    a, b = np.random.default_rng(seed).normal(size=(2, count, width))
    return a, rho * a + np.sqrt(1 - rho**2) * b


@pytest.mark.parametrize(
    ("shared", "classes", "tightness"), [(4, 2, 0.15), (1, 3, 0.06)]
)
def test_latent_factors(shared, classes, tightness):
    data = latent_factors.load_data(
        shared=shared, num_classes=classes, label_noise=0.3
    )
    known = data.mutual_information
    pairs = mutual_information(data.x["a"], data.x["b"])
    assert pairs.interval[0] < known["a;b"]
    assert known["a;b"] - tightness < pairs.estimate < known["a;b"] + 0.06
    assert pairs.ceiling == pytest.approx(np.log(1000))
    labels = mutual_information(data.x["a"], data.y)
    assert labels.interval[0] < known["a;y"]
    assert known["a;y"] - 0.05 < labels.estimate < known["a;y"] + 0.03
    assert labels.ceiling == pytest.approx(np.log(classes), abs=0.01)
    assert_golden(
        f"mutual_information/{shared}",
        [pairs.estimate, labels.estimate],
        rtol=1e-3,
        atol=2e-3,
    )


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_gaussians(rho):
    known = 2 * gaussian_information.gaussian_mutual_information(
        [[1, rho], [rho, 1]], 1
    )
    a, b = correlated(rho, 1500, width=2)
    mixed = b @ [[1, 5, 0], [2, 1, 1]]  # A linear map loses nothing.
    found = mutual_information(a, mixed)
    assert found.estimate == pytest.approx(known, abs=0.1)
    assert found.interval[0] <= known


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_columns_of_a_few_rows_do_no_harm(seed):
    """Pixels at the border, which only a few pictures have."""
    images = load_digits().images[:1000].reshape(1000, 2, 32) / 16
    top, bottom = images[:, 0], images[:, 1]
    found = mutual_information(top, bottom, seed=seed).estimate
    common = mutual_information(
        top[:, np.count_nonzero(top, axis=0) > 20],
        bottom[:, np.count_nonzero(bottom, axis=0) > 20],
        seed=seed,
    )
    assert found == pytest.approx(common.estimate, rel=0.05)


def test_interval_is_that_of_the_bound():
    # The scores are given, so all that varies is the sample.
    def critic(a, b):
        return lambda a, b: a @ b.T - (a**2 + b.T**2) / 3

    found = [
        mutual_information(*correlated(0.7, 300, seed=s), critic=critic)
        for s in range(150)
    ]
    estimates = [f.estimate for f in found]
    assert np.mean(estimates) < -np.log(1 - 0.49) / 2
    widths = [f.interval[1] - f.interval[0] for f in found]
    assert np.mean(widths) / 2 == pytest.approx(
        1.96 * np.std(estimates), rel=0.2
    )


def test_contrast_is_that_of_explicit_loops():
    scores = np.random.default_rng(1).normal(size=(6, 6)) * 3
    expected = 0
    for matrix in (scores, scores.T):
        for i in range(6):
            ratio = np.exp(matrix[i, i]) / np.mean(np.exp(matrix[i]))
            expected += np.log(ratio) / 12
    assert contrast(scores).mean() == pytest.approx(expected)
    assert contrast(1e4 * np.eye(6)).mean() == pytest.approx(np.log(6))


def test_network_sees_what_is_not_linear(monkeypatch):
    monkeypatch.setattr(network_critic, "STEPS", 150)
    a, noise = np.random.default_rng(2).normal(size=(2, 400, 1))
    b = np.abs(a) + 0.2 * noise
    assert mutual_information(a, b).estimate < 0.1
    found = mutual_information(a, b, critic="network")
    # By numerical integration of the density of b it is 1.077.
    assert 0.6 < found.estimate < 1.15
    assert found.interval[0] < 1.077


def test_network_has_its_own_random_numbers(monkeypatch):
    monkeypatch.setattr(network_critic, "STEPS", 25)
    x = np.random.default_rng(3).normal(size=(2, 60, 2))
    keras.utils.set_random_seed(1)
    expected = np.random.rand()
    keras.utils.set_random_seed(1)
    one = network_critic.network_critic(*x)(*x)
    assert np.random.rand() == expected
    np.testing.assert_allclose(network_critic.network_critic(*x)(*x), one)


def test_ceiling():
    a, b = correlated(1 - 1e-9, 60, width=5)
    found = mutual_information(a, b)
    assert found.ceiling == pytest.approx(np.log(30))
    assert 0.8 * found.ceiling < found.estimate <= found.ceiling
    assert str(found).endswith("is close to it: there may be much more.")
    labels = np.arange(60) % 3
    found = mutual_information(np.eye(3)[labels] * 9, labels)
    assert found.estimate == pytest.approx(np.log(3), abs=0.1)
    assert found.estimate <= found.ceiling == pytest.approx(np.log(3))


def test_nothing_to_know():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 80, 30))  # Many dimensions, few samples.
    for other in (b, rng.integers(0, 4, 80), b[:, 0], np.ones((80, 2))):
        found = mutual_information(a, other)
        assert 0 <= found.estimate < 0.15
        assert found.interval[0] == 0


def test_labels_and_numbers_are_told_apart_by_their_type():
    x = np.random.default_rng(6).normal(size=(200, 1))
    numbers = np.round(3 * x[:, 0])
    assert mutual_information(x, numbers).ceiling == pytest.approx(np.log(100))
    labels = np.clip(numbers, -2, 2).astype("int32")
    expected = mutual_information(x, labels, classifier="linear")
    assert expected.ceiling < np.log(5)
    names = np.array(list("abcde"))[labels + 2]
    for same in (labels[:, None], names, names.astype(object)[:, None]):
        assert mutual_information(x, same, classifier="linear") == expected
    found = mutual_information(x, numbers > 0, classifier="linear")
    assert found.estimate <= found.ceiling <= np.log(2)
    columns = np.stack([labels, labels], axis=1)  # Counts, say.
    assert mutual_information(x, columns).ceiling == pytest.approx(np.log(100))


def test_says_it_in_words():
    words = str(mutual_information(*correlated(0.8, 500), confidence=0.9))
    assert words.startswith("Mutual information: at least 0.")
    assert "(90 % interval 0." in words
    assert words.endswith("cannot exceed 5.521.")
    labels = np.arange(80) % 2
    words = str(mutual_information(labels[:, None], labels))
    assert words.endswith("The labels hold 0.693.")


def scores(values):
    """A critic that always gives the same."""
    return lambda a, b: lambda a, b: values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.ones((40, 3, 1))}, r"`a` of shape.*\(40, 3, 1\)"),
        ({"b": np.ones((40, 3, 1))}, r"`b` of shape.*\(40, 3, 1\)"),
        ({"b": np.ones((30, 3))}, r"Row i.*\(30, 3\)"),
        ({"b": np.ones(30, int)}, r"one label per sample.*\(30,\)"),
        ({"b": np.arange(40)}, "the smallest with 1"),
        ({"b": np.full((40, 2), "a")}, "`b` must hold numbers.*<U1"),
        ({"critic": "best"}, "`critic` must be one of.*'best'"),
        ({"critic": scores(np.ones((20, 3)))}, r"\(20, 20\).*\(20, 3\)"),
        ({"critic": scores(np.full((20, 20), np.nan))}, "400 values"),
        (
            {
                "b": np.arange(40) % 2,
                "classifier": lambda x, y, new: np.full((20, 2), np.nan),
            },
            "finite probabilities .* 40 values",
        ),
        ({"confidence": 0}, "`confidence`"),
    ],
)
def test_errors(change, message):
    good = {"a": np.eye(40, 3), "b": np.eye(40, 3)}
    with pytest.raises(ValueError, match=message):
        mutual_information(**{**good, **change})
