"""A killed process ends the others soon, and training goes on from a backup."""

import json
import pathlib
import shutil
import time

import keras
import numpy as np
import pytest

from tests.distributed import launch

BACKEND = keras.backend.backend()
SCRIPT = pathlib.Path(__file__).with_name("recover.py")
EPOCHS, LAST = 5, 3
# Engine and processes: those of the killed training, and of the next.
ENGINES = {
    "jax": [
        (("processes", 2), ("processes", 2)),
        (("data:8", 1), ("data:4", 1)),
    ],
    "tensorflow": [(("mirrored:2", 1), ("mirrored:4", 1))],
    "torch": [(("group", 2), ("group", 2)), (("group", 2), ("group", 3))],
}[BACKEND]


def train(folder, *arguments, on=("alone", 1)):
    """The exit codes of the processes, the seconds, and what was printed."""
    begin = time.monotonic()
    engine, processes = on
    arguments = [folder, *arguments]
    if engine == "group":
        command = ["torch.distributed.run", "--nproc-per-node", processes]
        command += ["--master-port", launch.free_port(), SCRIPT]
        workers = launch.start(engine, [*command, *arguments], "-m")
    else:
        workers = launch.start(engine, arguments, SCRIPT, processes)
    printed = [worker.communicate(timeout=300)[0] for worker in workers]
    codes = [worker.returncode for worker in workers]
    return codes, time.monotonic() - begin, "\n".join(printed)[-4000:]


def weights(folder):
    with np.load(folder / "weights.npz") as file:
        return [file[name] for name in file.files]


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("first, then", ENGINES)
def test_killed_process(first, then, tmp_path):
    whole, cut, alone = (tmp_path / n for n in ("whole", "cut", "alone"))
    for folder in (whole, cut):
        folder.mkdir()
    codes, usual, printed = train(whole, EPOCHS)
    assert codes == [0], printed

    codes, seconds, printed = train(cut, EPOCHS, LAST, on=first)
    assert all(codes), printed
    assert seconds < usual + 120
    assert not (cut / "weights.npz").exists()

    shutil.copytree(cut, alone)
    for folder, engine in ((cut, then), (alone, ("alone", 1))):
        codes, _, printed = train(folder, EPOCHS, on=engine)
        assert not any(codes), printed
        # The epoch in which it died, and what had not begun.
        epochs = json.loads((folder / "epochs.json").read_text())
        assert epochs == list(range(LAST, EPOCHS))
        for value, wanted in zip(weights(folder), weights(whole), strict=True):
            np.testing.assert_allclose(value, wanted, atol=1e-5)
