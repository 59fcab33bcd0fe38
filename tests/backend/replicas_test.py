"""Devices that share a batch: errors, and what is the same on one device.

What they share is tested in `tests/distributed`.
"""

import keras
import numpy as np
import pytest

from keras_xkd import backend
from keras_xkd import losses
from keras_xkd import models
from keras_xkd.callbacks import BackupAndRestore
from tests.distributed import problems
from tests.test_case import to_numpy

BACKEND = keras.backend.backend()


@pytest.fixture
def distribution():
    mesh = keras.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    chosen = keras.distribution.DataParallel(device_mesh=mesh)
    keras.distribution.set_distribution(chosen)
    yield chosen
    keras.distribution.set_distribution(None)


def test_distribution_where_it_does_nothing(distribution):
    if BACKEND == "jax":
        distiller = problems.make("kd")
        x, y, _ = problems.batches("kd")[0]
        history = distiller.fit(x, y, verbose=0).history
        assert np.isfinite(history["loss"][0])
        return
    with pytest.raises(ValueError, match="`keras.distribution` does nothing"):
        problems.make("kd")
    with pytest.raises(ValueError, match="`keras.distribution` does nothing"):
        encoders = {m: problems.encoder(m) for m in ("audio", "image")}
        models.LateFusion(encoders, 3).compile()


def test_distribution_that_is_set_after_compile():
    distiller = problems.make("kd")
    x, y, _ = problems.batches("kd")[0]
    before = [np.array(w) for w in distiller.get_weights()]
    mesh = keras.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    chosen = keras.distribution.DataParallel(device_mesh=mesh)
    keras.distribution.set_distribution(chosen)
    try:
        if BACKEND == "jax":
            assert distiller.fit(x, y, verbose=0).epoch == [0]
            return
        for call in (distiller.fit, distiller.evaluate):
            with pytest.raises(ValueError, match="DataParallel"):
                call(x, y, verbose=0)
    finally:
        keras.distribution.set_distribution(None)
    for old, new in zip(before, distiller.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_device_gathers_nothing():
    rows = keras.ops.convert_to_tensor(np.eye(3, dtype="float32"))
    assert backend.replica_count() == 1
    assert backend.gather([rows])[0] is rows
    assert backend.replica_total(2.0, 3.0) == (2.0, 3.0)
    assert backend.is_first_process()
    distiller = problems.make("kd")
    found = distiller.gather({"a": rows, "b": [rows]})
    np.testing.assert_array_equal(to_numpy(found["b"][0]), np.eye(3))


@pytest.mark.parametrize(
    "loss",
    [
        losses.InfoNCE,
        losses.NTXent,
        losses.CrossModalContrast,
        losses.SimilarityDistribution,
        losses.RelationalDistance,
        losses.RelationalAngle,
        losses.ProbabilisticTransfer,
        losses.ContrastiveRepresentation,
    ],
)
def test_flag_of_losses_that_couple_samples(loss):
    assert loss.couples
    assert loss().across_replicas
    apart = loss.from_config(loss(across_replicas=False).get_config())
    assert not apart.across_replicas
    rng = np.random.default_rng(0)
    t, s = rng.normal(size=(2, 5, 4)).astype("float32")
    np.testing.assert_array_equal(to_numpy(apart(t, s)), to_numpy(loss()(t, s)))


@pytest.mark.parametrize(
    "loss",
    [losses.SoftTargets, losses.DecoupledSoftTargets, losses.FeatureMatching],
)
def test_losses_of_single_samples(loss):
    assert not loss.couples


def test_a_memory_is_that_of_all_devices():
    with pytest.raises(ValueError, match="samples of all devices"):
        problems.cross_modal(
            losses.ContrastiveRepresentation(queue=8, across_replicas=False)
        )


def test_backup(tmp_path):
    how = {"shuffle": False, "verbose": 0}
    x, y, _ = problems.batches("kd")[0]
    distiller = problems.make("kd")
    backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    distiller.fit(x, y, epochs=2, callbacks=[backup], **how)
    again = problems.make("kd")
    backup = BackupAndRestore(tmp_path / "backup")
    history = again.fit(x, y, epochs=3, callbacks=[backup], **how)
    assert history.epoch == [2]
    assert not (tmp_path / "backup").exists()
    distiller.fit(x, y, **how)
    for one, other in zip(
        distiller.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


if BACKEND == "torch":
    import torch

    from keras_xkd.backend import torch_replicas

    def test_buckets_hold_tensors_of_one_kind(monkeypatch):
        monkeypatch.setattr(torch_replicas, "BUCKET_BYTES", 40)
        sizes = [4, 3, 9, 2, 20, 1]
        dtypes = [torch.float32] * 5 + [torch.float64]
        tensors = [
            torch.zeros(n, dtype=kind)
            for n, kind in zip(sizes, dtypes, strict=True)
        ]
        buckets = torch_replicas._buckets(tensors)
        assert sorted(sum(buckets, [])) == list(range(6))
        assert [0, 1, 2] in buckets and [5] in buckets

    def test_fingerprints_tell_values_and_places():
        x = torch.randn(4, 50)
        one = torch_replicas._fingerprint(x)
        other = x.clone()
        other[2, 7] = torch.nextafter(x[2, 7], torch.tensor(9.0))
        for changed in (x.flip(0), x.T, x.roll(1), -x, other):
            assert torch_replicas._fingerprint(changed) != one
        for piece in (1, 7, 200):
            assert torch_replicas._fingerprint(x, piece) == one
        # Sums of bits met by chance once in a few hundred such pairs.
        pairs = torch.randn(5000, 2)
        found = {int(torch_replicas._fingerprint(pair)) for pair in pairs}
        assert len(found) == 5000
        for kind in ("bool", "uint8", "float16", "bfloat16", "int64"):
            value = torch.tensor([1, 0, 1]).to(getattr(torch, kind))
            known = torch_replicas._fingerprint(value)
            assert known != torch_replicas._fingerprint(value.roll(1))

    def test_processes_without_a_group(monkeypatch):
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.warns(UserWarning, match="2 processes, but each trains"):
            problems.make("kd")


if BACKEND == "jax":
    from keras_xkd.backend import jax_replicas

    def test_bound_of_a_contrast_within_a_device(monkeypatch):
        """Each sample is compared with those of its device only."""
        groups = 4
        monkeypatch.setattr(jax_replicas, "_data_shards", lambda: groups)
        contrast = losses.InfoNCE(across_replicas=False)
        distiller = problems.amid(distillation_loss=contrast)
        x, y = problems.batches("amid_masked")[0]
        logs = distiller.test_on_batch(x, y, return_dict=True)
        seen = np.minimum(*x["present"].values())
        sizes = seen.reshape(groups, -1).sum(1)
        mean = np.sum(sizes * np.log(np.maximum(sizes, 1))) / seen.sum()
        for role in ("student", "auxiliary"):
            np.testing.assert_allclose(
                logs[f"{role}_information"],
                mean - logs[f"{role}_nce_loss"],
                rtol=1e-5,
            )


if BACKEND == "tensorflow":

    def test_other_strategies(monkeypatch):
        class Strategy:
            num_replicas_in_sync = 2

        distiller = problems.make("kd")
        x, y, _ = problems.batches("kd")[0]
        monkeypatch.setattr(distiller, "_distribute_strategy", Strategy())
        with pytest.raises(ValueError, match="MirroredStrategy.*Strategy"):
            distiller.fit(x, y, verbose=0)

    def test_what_replicas_cannot_do_together():
        from keras_xkd.backend import tensorflow_replicas

        sgd = keras.optimizers.SGD
        optimizers = [
            sgd(gradient_accumulation_steps=2),
            keras.optimizers.LossScaleOptimizer(
                sgd(use_ema=True, ema_overwrite_frequency=3)
            ),
        ]
        for optimizer in optimizers:
            with pytest.raises(ValueError, match="_steps=2|_frequency=3"):
                tensorflow_replicas.check_optimizer(optimizer)
        tensorflow_replicas.check_optimizer(sgd(clipnorm=1.0))
