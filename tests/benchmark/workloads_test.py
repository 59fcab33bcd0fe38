import keras
import numpy as np
import pytest

from keras_xkd.benchmark import workloads


def test_data_and_labels():
    work = workloads.make("kd", "mlp", seed=3, samples=20, tiny=True)
    assert {n: v.shape for n, v in work.x.items()} == {
        "audio": (20, 6),
        "image": (20, 8),
    }
    assert sorted(work.labels) == sorted([*range(10), *range(10)])
    assert work.y is work.labels
    batches = work.batches()
    assert len(batches) == 2  # The rest is no full batch.
    np.testing.assert_array_equal(batches[1][0]["image"], work.x["image"][8:16])
    np.testing.assert_array_equal(batches[1][1], work.y[8:16])
    assert workloads.make("mke", "mlp", tiny=True).y is None


def test_same_numbers_for_a_seed():
    """Also those of layers that the distiller makes, in any name scope."""
    found = []
    for seed in (0, 0, 1):
        distiller = workloads.make("amid", "mlp", seed, tiny=True).distiller
        weights = [keras.ops.convert_to_numpy(w) for w in distiller.weights]
        found.append(np.concatenate([w.ravel() for w in weights]))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_heads_of_teachers_are_right():
    work = workloads.make("kd", "mlp", samples=160)
    logits = work.networks["teacher"]({"image": work.x["image"]})["logits"]
    found = keras.ops.convert_to_numpy(logits).argmax(-1)
    assert np.mean(found == work.labels) > 0.9
    logits = work.student({"audio": work.x["audio"]})["logits"]
    found = keras.ops.convert_to_numpy(logits).argmax(-1)
    assert np.mean(found == work.labels) < 0.5


def test_full_networks():
    shapes = workloads.FULL
    parts = {
        "conv": ("image", 11_181_642),  # As torchvision's, with ten classes.
        "transformer": ("audio", 9_529_610),
    }
    for size, (modality, count) in parts.items():
        model = workloads.network(size, shapes[size], (modality,), 10)
        trained = sum(np.prod(v.shape) for v in model.trainable_variables)
        assert trained == count
        assert len(model.output["features"].shape) == 2


@pytest.mark.parametrize("size", workloads.SIZES)
def test_a_student_learns(size):
    work = workloads.make("mke", size, tiny=True)
    first = work.distiller.fit(
        work.x, batch_size=work.batch_size, epochs=4, verbose=0
    ).history["loss"]
    assert np.isfinite(first).all() and first[-1] < first[0]


def test_unknown_names():
    with pytest.raises(ValueError, match="Received: method='kdd'"):
        workloads.make("kdd", "mlp")
