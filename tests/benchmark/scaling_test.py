import json

import keras
import numpy as np
import pytest
from keras import layers

from keras_xkd.benchmark import scaling
from keras_xkd.benchmark import scaling_report
from keras_xkd.benchmark import scaling_times
from keras_xkd.benchmark import scaling_volume as volume
from keras_xkd.benchmark.workloads_networks import TINY

BACKEND = keras.backend.backend()


def sent_in_a_ring(shares, twice):
    """Bytes that each device sends if parts travel around, step by step.

    Args:
        shares: What each device has at first: bytes of its rows, or of the
            part of a sum that it is to hold.
        twice: Whether the parts are added up on the way, and then go round.
    """
    devices = len(shares)
    sent = [0] * devices
    for _ in range(2 if twice else 1):
        held = list(range(devices))
        for _ in range(devices - 1):
            for device in range(devices):
                sent[device] += shares[held[device]]
            held = [held[device - 1] for device in range(devices)]
    return sent


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_volumes_are_those_of_a_ring(devices):
    rows = [2 * 5 * 7 * 4] * devices
    assert (
        sent_in_a_ring(rows, False)
        == [volume.gathered(devices, batch=5, width=7)] * devices
    )
    parameters = 24 * 10
    parts = [parameters // devices * 4] * devices
    assert (
        sent_in_a_ring(parts, True)
        == [volume.reduced(devices, parameters)] * devices
    )


@pytest.mark.parametrize("parameters", [1000, 1023, 1024, 100_000])
def test_where_the_gather_exceeds_the_gradients(parameters):
    first = volume.gather_exceeds(parameters, batch=8, width=16)
    exceeds = [
        volume.gathered(n, 8, 16) > volume.reduced(n, parameters)
        for n in range(2, first + 2)
    ]
    assert exceeds == [n >= first for n in range(2, first + 2)]


@pytest.mark.parametrize("chunks", [False, True])
def test_throughput_is_highest_at_the_peak(chunks):
    own = {"forward": 1e7, "batch": 16, "width": 32}
    peak = volume.peak_devices(**own, chunks=chunks)
    devices = np.arange(1, 400)
    matrix = volume.matrix_operations(devices * 16, 32, chunks)
    networks = volume.network_operations(1e7, 16)
    for gather in (0, 1e6):  # Which does not move it.
        samples = devices / (networks + gather * devices + matrix)
        assert abs(devices[np.argmax(samples)] - peak) < 1
    if not chunks:
        wanted = devices / (1 + matrix / networks)
        found = [volume.speedup(n, **own) for n in devices]
        np.testing.assert_allclose(found, wanted)
        # A third of the way, nine tenths are left.
        third = volume.speedup(peak / 3, **own) / (peak / 3)
        assert third == pytest.approx(0.9)


def test_forward_operations():
    inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(5, 3, 2, name="conv")(inputs)  # To (4, 4, 5).
    x = layers.Reshape((16, 5))(layers.ReLU()(x))
    x = layers.LayerNormalization()(x)
    x = layers.MultiHeadAttention(3, 4)(x, x)
    outputs = layers.Dense(6)(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs)
    conv = 2 * 4 * 4 * 5 * (3 * 3 * 2)
    attention = 2 * 16 * 4 * (5 * 12) + 2 * 2 * 16 * 16 * 12
    assert volume.forward_operations(model) == conv + attention + 2 * 5 * 6


if BACKEND == "torch":

    @pytest.mark.parametrize("chunk_size", [None, 4])
    def test_operations_of_the_matrix(chunk_size):
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from keras_xkd.losses import cross_modal_contrast

        teacher = torch.randn(16, 8)
        student = torch.randn(16, 8, requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            loss = cross_modal_contrast(teacher, student, chunk_size=chunk_size)
            torch.autograd.grad(loss.mean(), student)
        assert counter.get_total_flops() == volume.matrix_operations(
            16, 8, chunks=chunk_size is not None
        )

    def test_counts_and_ways_to_reduce_in_two_processes():
        groups = []

        class Group(scaling_times.Group):
            """The same processes for the whole test."""

            def __init__(self, processes):
                super().__init__(processes, timeout=120)
                groups.append(self)

            def __exit__(self, *_):
                pass

        try:
            case = (2, 4, 8, 2)
            (row,) = scaling.count([case], Group)
            (group,) = groups
            assert row["expected"] == row["counted"]
            assert row["counted"]["gather"] == 2 * 4 * 8 * 4
            assert row["counted"]["gradients"] == row["parameters"] * 4
            if row["sent"] is not None:
                beside = row["sent"] - sum(row["counted"].values())
                assert 0 < beside < 4000  # Headers.

            found = {}
            for form in scaling_times.FORMS:
                group.ask("prepare", size="mlp", batch=8, tiny=True)
                answers = group.ask("block", batch=8, steps=3, form=form)
                for answer in answers:
                    assert 0 < answer["communication"] < answer["seconds"]
                found[form] = [a["sum"] for a in group.ask("weights")]
            plain, other = found["plain"]
            assert plain == other
            np.testing.assert_allclose(found["overlapped"], plain, rtol=1e-7)
            # Without sums every process learns from its own samples.
            first, second = found["apart"]
            assert first != second
        finally:
            for group in groups:
                group.close()


class Pretender:
    """A group whose answers are known."""

    def __init__(self, processes, together=True):
        self.processes = processes
        self.slower = processes if together else 1.25

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, action, batch=None, width=None, form="plain", **_):
        n = self.processes
        if action == "prepare":
            return [{"parameters": 7}] * n
        if action == "block":
            seconds = {"plain": 2.0, "overlapped": 1.5, "apart": 1.0}[form]
            found = {"seconds": seconds * self.slower, "communication": 0.5}
            return [found, found | {"communication": 1.5}][:n]
        moved = {
            "gather": n * volume.gathered(n, batch, width),
            "gradients": n * volume.reduced(n, 60),
            "rest": n * volume.remaining(n),
        }
        operations = 1000 + volume.matrix_operations(n * batch, width)
        return [
            {
                "parameters": 60,
                "moved": moved,
                "messages": {},
                "sent": 5000,
                "operations": operations,
            }
        ] * n


def test_counts_stand_beside_the_closed_forms():
    rows = scaling.count([(3, 4, 8, 1), (1, 4, 8, 1), (2, 6, 8, 1)], Pretender)
    assert [row["processes"] for row in rows] == [1, 2, 3]
    assert all(row["counted"] == row["expected"] for row in rows)
    assert rows[2]["added"] == rows[2]["expected_added"] > 0
    assert "added" not in rows[1]  # This case did not run in one process.
    text = scaling_report.count_table(rows)
    assert "equal" in text and "DIFFERENT" not in text
    rows[2]["counted"]["gather"] += 1
    assert "DIFFERENT" in scaling_report.count_table(rows)


def test_times_are_summarised():
    found = scaling_times.take_times("mlp", pairs=3, tiny=True, make=Pretender)
    summary = found["summary"]
    assert {len(runs) for runs in found["runs"].values()} == {3}
    assert summary["plain"]["seconds"] == 4.0
    assert summary["plain"]["ratio"]["ratio"] == 2.0  # To one process.
    assert summary["separate"]["ratio"]["ratio"] == 1.25
    assert summary["overlapped"]["ratio"]["ratio"] == 0.75  # To "plain".
    assert summary["apart"]["ratio"]["ratio"] == 0.5
    assert summary["plain"]["communication"] == 0.25
    assert summary["plain"]["unwaited"] == 0.125
    (line,) = scaling_report.verdicts([found])
    assert "saves 25.0%" in line and line.endswith("50.0% (50.0% to 50.0%).")


def test_run(tmp_path, monkeypatch, capsys):
    large = {size: (size, TINY[size]) for size in ("conv", "transformer")}
    monkeypatch.setattr(scaling, "LARGE", large)
    monkeypatch.setattr(scaling.count, "__defaults__", (None, Pretender))
    defaults = (*scaling.take_times.__defaults__[:-1], Pretender)
    monkeypatch.setattr(scaling.take_times, "__defaults__", defaults)
    found = scaling.run([0], tmp_path, quick=True, sizes=["mlp"], pairs=2)
    printed = capsys.readouterr().out
    assert len(found["growth"]) == len(scaling.DEVICES)
    saved = json.loads((tmp_path / "scaling.json").read_text())
    assert saved["growth"] == found["growth"]
    assert (tmp_path / "scaling.png").stat().st_size > 10_000
    assert ("needs the PyTorch backend" in printed) == (BACKEND != "torch")
    assert ("saves 25.0%" in printed) == (BACKEND == "torch")


def test_unknown_sizes_are_named(tmp_path):
    with pytest.raises(SystemExit, match="mlp.*Received: no_such"):
        scaling.run([0], tmp_path, sizes=["no_such"])
