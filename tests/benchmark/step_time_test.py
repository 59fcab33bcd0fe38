import json

import keras
import numpy as np
import pytest

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import step_time
from keras_xkd.benchmark import step_time_contenders as ways
from keras_xkd.benchmark import step_time_levers
from keras_xkd.benchmark import step_time_targets as targets
from keras_xkd.benchmark import workloads

STEPS = 3
JIT = {"jit_compile=True"}
LEVERS = {
    "mlp": {
        "jax": {"steps_per_execution"},
        "tensorflow": {*JIT, "jit_compile=False", "steps_per_execution"},
        "torch": JIT,
    },
    "conv": {
        "jax": {"channels_first"},
        "tensorflow": {*JIT, "jit_compile=False"},
        "torch": {*JIT, "channels_first"},
    },
}


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
    names = ["loop", "keras_distillation"]
    report = step_time.run(
        [0],
        tmp_path,
        quick=True,
        methods=["features"],
        sizes=["mlp"],
        contenders=names,
    )
    (found,) = report["results"]
    assert sorted(found["ratios"]) == sorted(names)
    for name in names:
        ratios = found["ratios"][name]
        assert ratios["loss_difference"] < 1e-4
        assert ratios["wall"]["low"] <= ratios["wall"]["high"]
        assert len(found["seconds"][name]["wall"]) == 3
    backend = keras.backend.backend()
    assert ("operations" in found) == (backend == "jax")
    path = tmp_path / f"step_time_{backend}.json"
    assert json.loads(path.read_text())["table"] == report["table"]
    assert "loop by hand, same networks" in capsys.readouterr().out


def test_dtype(tmp_path, capsys):
    """The loops by hand compute in float32."""
    names = ["stock", "keras_distillation"]
    assert ways.available("kd", "mixed_bfloat16") == names
    before = keras.config.dtype_policy()
    with ways.policy("mixed_bfloat16"):
        work = workloads.make("kd", "mlp", tiny=True)
    assert work.networks["student"].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() == before
    report = step_time.run(
        [0],
        tmp_path,
        quick=True,
        methods=["amid"],
        sizes=["mlp"],
        dtype="mixed_bfloat16",
    )
    assert report["results"] == []
    assert "mlp, amid: there is nothing to compare" in capsys.readouterr().out


def test_levers():
    backend = keras.backend.backend()
    names = {size: set(step_time_levers.levers(size)) for size in LEVERS}
    for size, expected in LEVERS.items():
        assert names[size] - {"one core"} == expected[backend]
    ratios = {"wall": {"ratio": 0.7, "low": 0.6, "high": 0.8}}
    found = {"size": "mlp", "ratios": {"steps_per_execution": ratios}}
    (line,) = step_time_levers.advice(found)
    assert "steps_per_execution=10) pays: 0.70 of the time" in line
    ratios["wall"]["high"] = 0.99
    assert not step_time_levers.advice(found)


def test_channels_first():
    """The same network, on images whose channels come first."""
    before = keras.config.image_data_format()
    works = [workloads.make("cmc", "conv", tiny=True)]
    keras.config.set_image_data_format("channels_first")
    try:
        works.append(workloads.make("cmc", "conv", tiny=True))
    finally:
        keras.config.set_image_data_format(before)
    last, first = works
    assert last.x["image"].shape[1:] == (8, 8, 3)
    np.testing.assert_array_equal(
        np.moveaxis(last.x["image"], -1, 1), first.x["image"]
    )
    for one, other in zip(
        last.student.weights, first.student.weights, strict=True
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )
