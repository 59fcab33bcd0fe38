"""Metrics, statistics, errors: what training alike does not show."""

import pathlib

import keras
import numpy as np
import pytest

from keras_xkd import losses
from tests.distributed import launch
from tests.distributed import problems

BACKEND = keras.backend.backend()
SCRIPT = pathlib.Path(__file__).with_name("behaviour.py")
ENGINE, PROCESSES, DEVICES = {
    "jax": ("data:4", 1, 4),
    "tensorflow": ("mirrored:2", 1, 2),
    "torch": ("group", 2, 2),
}[BACKEND]
CHECKS = ["correlation", "retrieval", "apart", "statistics", "overflow"]
if BACKEND == "tensorflow":
    CHECKS += ["no_sample"]
OF_PROCESSES = ["start", "by_batch", "teachers", "nonfinite"]
if PROCESSES == 1:
    OF_PROCESSES = []


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What every process has found."""
    folder = tmp_path_factory.mktemp("behaviour")
    names = [*CHECKS, *OF_PROCESSES]
    return launch.run(ENGINE, folder, names, PROCESSES, script=SCRIPT)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behaviour")
    names = [*CHECKS, *OF_PROCESSES[:2]]
    return launch.run("alone", folder, names, script=SCRIPT)[0]


def of(check, results):
    return {k: v for k, v in results.items() if k.startswith(f"{check}: ")}


@pytest.mark.parametrize("check", ["correlation", "retrieval"])
def test_metrics(check, found, alone):
    for results in found:
        apart = launch.differences(of(check, results), of(check, alone))
        assert max(apart.values()) <= 1e-5


def test_contrast_within_a_device(found):
    """As the explicit sum over the parts of every batch."""
    distiller = problems.cross_modal(losses.InfoNCE())
    problems.fill(distiller)
    terms = []
    for x, *_ in problems.batches("contrast_masked"):
        own, sure = {}, np.minimum(*x["present"].values())
        for role in ("student", "teacher"):
            network = distiller.named[role]
            outputs = distiller.run(role, x, training=False)
            own[role] = keras.ops.convert_to_numpy(outputs["features"])
            assert network.built
        parts = [
            losses.info_nce(
                own["teacher"][rows], own["student"][rows], mask=sure[rows]
            )
            for rows in np.split(np.arange(problems.BATCH), DEVICES)
        ]
        values = np.concatenate(list(map(keras.ops.convert_to_numpy, parts)))
        terms.append(np.sum(values) / np.sum(sure))
    for results in found:
        np.testing.assert_allclose(
            results["apart: loss"], np.mean(terms), rtol=1e-5
        )


def test_statistics(found, alone):
    """Moving means are those of all samples, the same in every process."""
    seeds = set()
    for results in found:
        np.testing.assert_allclose(
            results["statistics: mean"], alone["statistics: mean"], atol=1e-5
        )
        seeds.add(tuple(results["statistics: seed"]))
    # Every process drops other units.
    assert len(seeds) == PROCESSES


def test_overflow_on_one_device(found, alone):
    for results in found:
        for name in ("overflow: moved", "overflow: scale"):
            assert results[name] == alone[name]
        assert results["overflow: moved"] == 0
        assert results["overflow: scale"] == 512


if BACKEND == "tensorflow":

    def test_a_device_without_a_sample(found):
        for results in found:
            assert results["no_sample: finite"].all()


if OF_PROCESSES:

    def test_all_begin_with_the_weights_of_the_first(found, alone):
        for results in found:
            apart = launch.differences(of("start", results), of("start", alone))
            assert max(apart.values()) <= 1e-5

    def test_train_on_batch(found, alone):
        for results in found:
            apart = launch.differences(
                of("by_batch", results), of("by_batch", alone)
            )
            assert max(apart.values()) <= 1e-5

    def test_frozen_networks_must_agree(found):
        for results in found:
            assert "other weights" in str(results["teachers: error"])

    def test_all_stop_at_a_nan(found):
        for results in found:
            assert "not finite" in str(results["nonfinite: error"])
            assert results["nonfinite: moved"] == 0
