"""What is learned does not depend on the devices: every engine, every method.

The weights after 20 steps, the loss terms and metrics of every epoch and of an
evaluation, against the same training on one device.
"""

import keras
import pytest

from tests.distributed import launch
from tests.distributed import problems

BACKEND = keras.backend.backend()
TOLERANCE = 1e-5
# Engine and number of processes; the first of its kind is always tested.
ENGINES = {
    "jax": [("data:8", 1), ("model:8", 1), ("processes", 2)],
    "tensorflow": [("mirrored:2", 1), ("mirrored:4", 1)],
    "torch": [("group", 2), ("group", 3)],
}[BACKEND]
KINDS = {name.split(":")[0]: (name, n) for name, n in reversed(ENGINES)}
# Two players, a queue, a contrast with absent samples.
QUICK = ["amid", "cmd_queue", "contrast_masked"]


def too_far(folder, engine, processes, names, **extra):
    """What differs from one device in some process, and by how much."""
    (alone,) = launch.run("alone", folder, names, **extra)
    found = launch.run(engine, folder, names, processes, **extra)
    return [
        {k: v for k, v in apart.items() if not v <= TOLERANCE}
        for apart in (launch.differences(own, alone) for own in found)
    ]


@pytest.mark.parametrize("engine, processes", KINDS.values())
def test_engine(engine, processes, tmp_path):
    names = QUICK if (engine, processes) == ENGINES[0] else QUICK[:1]
    assert too_far(tmp_path, engine, processes, names) == [{}] * processes


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("engine, processes", ENGINES)
def test_all_methods(engine, processes, tmp_path):
    found = too_far(tmp_path, engine, processes, list(problems.PROBLEMS))
    assert found == [{}] * processes


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("engine, processes", ENGINES)
def test_contrast_within_a_device(engine, processes, tmp_path):
    parts = int((engine.partition(":")[2]) or processes)
    if engine.startswith("model"):
        parts //= 2  # The other axis of the mesh has the weights.
    found = too_far(
        tmp_path, engine, processes, list(problems.WITHIN), XKD_PARTS=str(parts)
    )
    assert found == [{}] * processes


if BACKEND != "jax":  # It shares only batches that its devices divide.

    @pytest.mark.slow
    @pytest.mark.distributed
    @pytest.mark.parametrize("engine, processes", ENGINES)
    def test_uneven_batches(engine, processes, tmp_path):
        rows = "68" if BACKEND == "torch" else "65"  # The last batch: 4, 1.
        extra = {"XKD_ROWS": rows, "XKD_UNEVEN": "1"}
        names = list(problems.PROBLEMS)
        found = too_far(tmp_path, engine, processes, names, **extra)
        assert found == [{}] * processes
