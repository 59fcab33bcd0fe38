import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import step_time
from keras_xkd.benchmark import step_time_contenders as ways
from keras_xkd.benchmark import step_time_targets as targets
from keras_xkd.benchmark import workloads

STEPS = 3


def losses(name, method, size, **options):
    """The mean losses of two epochs."""
    train = ways.make(name, method, size, STEPS, tiny=True, **options)
    return [float(train()), float(train())]


@pytest.mark.parametrize("method", workloads.METHODS)
def test_all_compute_the_same(method):
    ours = losses("ours", method, "mlp")
    assert ours[1] < ours[0]
    for name in ways.available(method):
        if name == "keras_distillation":
            options = {"same_inputs": True}
            own = losses("ours", method, "mlp", **options)
            assert abs(own[0] - ours[0]) > 1e-3  # Another teacher.
        else:
            options, own = {}, ours
        found = losses(name, method, "mlp", **options)
        np.testing.assert_allclose(found, own, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("size", ["conv", "transformer"])
def test_native_networks(size):
    """Layer by layer the same as in Keras, states included."""
    loop = losses("loop", "cmc", size)
    np.testing.assert_allclose(losses("native", "cmc", size), loop, rtol=1e-4)
    assert loop[1] < loop[0]


def test_what_there_is():
    assert ways.available("amid") == ["loop", "native"]
    assert ways.available("kd") == list(ways.ALTERNATIVES)
    work = workloads.make("amid", "mlp", tiny=True)
    parts = loop_math.parts_of(work)
    first, second = loop_math.players_of("amid", parts)
    assert second == ["discriminator"] and "generator" in first
    trained = [v for n in first + second for v in parts[n].trainable_variables]
    ours = work.distiller.trainable_variables
    assert {id(v) for v in trained} == {id(v) for v in ours}


def test_measure_takes_turns():
    order = []

    def contender(name):
        return lambda: order.append(name) or len(order)

    found = step_time.measure({n: contender(n) for n in "abc"}, 2)
    assert "".join(order) == "aabbcc" + "abc" + "bca"
    assert found["b"]["loss"] == 3
    assert len(found["b"]["wall"]) == len(found["b"]["processor"]) == 2


def test_targets():
    loop = 1.5 if keras.backend.backend() != "torch" else None
    assert targets.target("kd", "mlp", "loop") == loop
    assert targets.target("kd", "conv", "loop") == 1.05
    assert targets.target("features", "conv", "keras_distillation") == 0.85
    found = targets.target("features", "conv", "keras_distillation", True)
    assert found == 1.05
    assert targets.target("kd", "conv", "keras_distillation") is None
    counts = {"ours_same_inputs": 4.0, "keras_distillation": 5.0}
    assert not targets.is_merged(counts)
    assert targets.is_merged({**counts, "keras_distillation": 4.1})
    interval = {"ratio": 1.2, "low": 1.16, "high": 1.3}
    assert targets.judge("kd", "conv", "native", interval).endswith("missed")
    interval["low"] = 1.1
    assert targets.judge("kd", "conv", "native", interval).endswith("doubtful")
    lines = targets.costs(
        [
            {
                "size": "mlp",
                "method": "amid",
                "operations": {"ours": 10.4, "networks": 10.0},
            }
        ]
    )
    assert "| 1.040 | <= 1.1: met |" in lines


def test_quick(tmp_path, capsys):
    report = step_time.run(
        [0], tmp_path, quick=True, methods=["features"], sizes=["mlp"]
    )
    (found,) = report["results"]
    assert sorted(found["ratios"]) == sorted(ways.ALTERNATIVES)
    for name in ways.ALTERNATIVES:
        ratios = found["ratios"][name]
        assert ratios["loss_difference"] < 1e-4
        assert ratios["wall"]["low"] <= ratios["wall"]["high"]
        assert len(found["seconds"][name]["wall"]) == 3
    counted = keras.backend.backend() == "jax"
    assert ("operations" in found) == counted
    backend = keras.backend.backend()
    path = tmp_path / f"step_time_{backend}.json"
    assert json.loads(path.read_text())["table"] == report["table"]
    assert "loop by hand, native layers" in capsys.readouterr().out
