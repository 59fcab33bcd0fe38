import numpy as np
import pytest

from keras_xkd.datasets import latent_factors


def plug_in(first, second):
    """Gaussian mutual information from canonical correlations."""
    first, second = (
        np.linalg.qr(v.astype("float64") - v.mean(0))[0]
        for v in (first, second)
    )
    rho = np.linalg.svd(first.T @ second, compute_uv=False)
    return -0.5 * np.log1p(-(rho**2)).sum()


def label_information(x, score, y, bins=60):
    """I(x; y) from the best linear estimate of the score, by a histogram."""
    x = np.column_stack([x.astype("float64"), np.ones(len(x))])
    estimate = x @ np.linalg.lstsq(x, score, rcond=None)[0]
    edges = np.quantile(estimate, np.linspace(0, 1, bins + 1)[1:-1])
    joint = np.zeros((bins, y.max() + 1))
    np.add.at(joint, (np.searchsorted(edges, estimate), y), 1 / len(y))
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return (joint[seen] * np.log(joint[seen] / product[seen])).sum()


CASES = [
    {},
    {"dims": {"a": 5, "b": 3}, "shared": 2, "private": 1, "noise": 1.0},
    {
        "dims": {"a": 6, "b": 9},
        "private": {"a": 2, "b": 5},
        "noise": {"a": 0.3, "b": 0.9},
        "label_share": {"shared": 0.4, "a": 0.6},
        "num_classes": 4,
    },
    {
        "shared": 3,
        "label_share": {"shared": 0.2, "a": 0.3, "b": 0.5},
        "label_noise": 0.7,
        "num_classes": 3,
    },
]


@pytest.mark.parametrize("options", CASES)
def test_analytic_information_agrees_with_estimates(options):
    data = latent_factors.load_data(num_samples=60000, seed=3, **options)
    exact = data.mutual_information
    assert list(exact) == [
        "a;b",
        "a;shared",
        "b;shared",
        "a;y",
        "b;y",
        "a,b;y",
    ]
    a, b = data.x["a"], data.x["b"]
    shared = data.factors["shared"]
    np.testing.assert_allclose(plug_in(a, b), exact["a;b"], atol=0.02)
    for name, x in (("a", a), ("b", b)):
        np.testing.assert_allclose(
            plug_in(x, shared), exact[f"{name};shared"], rtol=0.02
        )
    shares = options.get("label_share", {"shared": 1.0})
    score = sum(
        np.sqrt(share / data.factors[g].shape[1]) * data.factors[g].sum(1)
        for g, share in shares.items()
    )
    for name, x in (("a", a), ("b", b), ("a,b", np.hstack([a, b]))):
        np.testing.assert_allclose(
            label_information(x, score, data.y),
            exact[f"{name};y"],
            atol=0.01,
            err_msg=name,
        )


def test_one_dimension_in_closed_form_and_by_nearest_neighbours():
    from sklearn.feature_selection import mutual_info_regression

    data = latent_factors.load_data(
        4000, {"a": 1, "b": 1}, shared=1, private=0, noise={"a": 0.5, "b": 1.0}
    )
    rho = 1 / np.sqrt(1.25 * 2.0)
    exact = data.mutual_information["a;b"]
    np.testing.assert_allclose(exact, -0.5 * np.log(1 - rho**2))
    estimate = mutual_info_regression(
        data.x["a"], data.x["b"][:, 0], random_state=0
    )[0]
    np.testing.assert_allclose(estimate, exact, atol=0.05)


def test_nothing_shared_means_no_information():
    data = latent_factors.load_data(shared=0, label_share={"a": 1.0})
    np.testing.assert_allclose(data.mutual_information["a;b"], 0, atol=1e-9)
    assert data.mutual_information["b;y"] == 0
    assert data.mutual_information["a;y"] > 0.1
    assert data.factors["shared"].shape == (2000, 0)


def test_label_information_of_one_modality_can_be_held_fixed():
    # The share of the label moves from b's own factors to the shared ones.
    values = [
        latent_factors.load_data(
            10, label_share={"shared": s, "b": 1 - s}
        ).mutual_information
        for s in (0.0, 0.5, 1.0)
    ]
    for later in values[1:]:
        np.testing.assert_allclose(later["b;y"], values[0]["b;y"])
    a = [v["a;y"] for v in values]
    assert a[0] == 0
    assert a[0] < a[1] < a[2]
    # The number of factors that are common.
    values = [
        latent_factors.load_data(
            10,
            shared=s,
            private=8 - s,
            label_share={"shared": s / 8, "b": 1 - s / 8},
        ).mutual_information
        for s in (1, 4, 7)
    ]
    for later in values[1:]:
        np.testing.assert_allclose(later["b;y"], values[0]["b;y"])
    assert values[0]["a;b"] < values[1]["a;b"] < values[2]["a;b"]


def test_information_is_bounded():
    exact = latent_factors.load_data(10, noise=1e-3).mutual_information
    # Without noise both modalities determine the label.
    np.testing.assert_allclose(exact["a;y"], np.log(2), atol=2e-3)
    assert exact["a,b;y"] <= np.log(2) + 1e-6
    noisy = latent_factors.load_data(10, label_noise=2.0).mutual_information
    assert noisy["a;y"] < 0.1


def test_shapes_dtypes_and_three_modalities():
    data = latent_factors.load_data(
        50, dims={"audio": 7, "text": 6, "video": 8}, shared=3, private=2
    )
    assert {m: v.shape for m, v in data.x.items()} == {
        "audio": (50, 7),
        "text": (50, 6),
        "video": (50, 8),
    }
    assert all(v.dtype == np.float32 for v in data.x.values())
    assert data.y.shape == (50,)
    assert data.y.dtype == np.int32
    assert {g: v.shape for g, v in data.factors.items()} == {
        "shared": (50, 3),
        "audio": (50, 2),
        "text": (50, 2),
        "video": (50, 2),
    }
    exact = data.mutual_information
    assert {"audio;text", "audio;video", "text;video"} <= set(exact)
    assert exact["audio,text,video;y"] > exact["audio;y"]
    assert all(isinstance(v, float) for v in exact.values())


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_classes_are_balanced_and_entries_have_unit_variance(num_classes):
    data = latent_factors.load_data(
        40000, num_classes=num_classes, label_noise=0.5
    )
    share = np.bincount(data.y) / 40000
    np.testing.assert_allclose(share, 1 / num_classes, atol=0.01)
    for view in data.x.values():
        np.testing.assert_allclose(view.var(), 1, rtol=0.05)


def test_seeds():
    one, same = (latent_factors.load_data(20, seed=1) for _ in range(2))
    np.testing.assert_array_equal(one.x["a"], same.x["a"])
    np.testing.assert_array_equal(one.y, same.y)
    train, test = (
        latent_factors.load_data(5000, seed=1, sample_seed=s) for s in (0, 1)
    )
    assert not np.array_equal(train.x["a"], test.x["a"])
    assert train.mutual_information == test.mutual_information
    # The same problem: a linear rule of one is as good on the other.
    w = np.linalg.lstsq(train.x["a"], 2.0 * train.y - 1, rcond=None)[0]
    accuracy = [((d.x["a"] @ w > 0) == d.y).mean() for d in (train, test)]
    assert min(accuracy) > 0.8
    np.testing.assert_allclose(accuracy[0], accuracy[1], atol=0.03)


def test_golden_values():
    data = latent_factors.load_data(seed=1)
    expected = [0.749965, -1.040349, -0.002518]
    np.testing.assert_allclose(data.x["a"][0, :3], expected, atol=1e-5)
    assert data.y[:10].tolist() == [0, 0, 1, 1, 1, 0, 1, 0, 1, 1]
    exact = data.mutual_information
    np.testing.assert_allclose(exact["a;b"], 2.0433025, rtol=1e-6)
    np.testing.assert_allclose(exact["a;shared"], 3.2188758, rtol=1e-6)
    np.testing.assert_allclose(exact["a;y"], 0.3732621, rtol=1e-5)
    np.testing.assert_allclose(exact["a,b;y"], 0.4539215, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": {}}, "at least one modality"),
        ({"dims": {"shared": 4}}, "none may be called"),
        ({"dims": {"a": 7}}, "at least its number of factors, 8"),
        ({"shared": -1}, "must not be negative"),
        ({"shared": 0, "private": 0}, "each modality needs one"),
        ({"noise": 0.0}, "`noise` must be positive"),
        ({"noise": {"a": 1.0}}, "must have the keys of `dims`"),
        ({"label_share": {"c": 1.0}}, "Unknown key.*c"),
        ({"label_share": {"a": 0.5}}, "must sum to 1"),
        ({"label_share": {"a": 1.5, "b": -0.5}}, "must sum to 1"),
        ({"private": 0, "label_share": {"a": 1.0}}, "have factors.*shared=0"),
        ({"label_noise": -1}, "`label_noise` must not be negative"),
        ({"num_classes": 1}, "at least 2"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        latent_factors.load_data(10, **options)


def test_it_prints_what_it_has():
    result = latent_factors.load_data(20, dims={"a": 6, "b": 7}, shared=2)
    lines = repr(result).splitlines()
    assert lines[0] == "LatentFactors: 20 samples"
    assert lines[1] == "  x: a (6), b (7)"
    assert "shared (2)" in lines[3]
    name, nats = next(iter(result.mutual_information.items()))
    assert f"{name} {nats:.3f}" in lines[4]
