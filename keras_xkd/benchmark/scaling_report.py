"""The tables, the picture and the JSON of `scaling`."""

from keras_xkd.benchmark import record
from keras_xkd.benchmark import scaling_figure
from keras_xkd.benchmark import scaling_volume as volume
from keras_xkd.benchmark.scaling_times import TITLES
from keras_xkd.benchmark.table import table

MANY = 256  # Beyond so many devices, tables do not look.
CHUNK = 512
ONLY_TORCH = (
    "Counting bytes and taking times needs the PyTorch backend: "
    "`--backend torch`. Above are the closed forms."
)


def count_table(counts):
    """What one process sends in a step, counted and in closed form."""
    header = ["processes", "batch", "width", "parameters", "gather"]
    header += ["gradients", "rest", "closed form", "written"]
    header += ["added operations", "closed form"]
    rows = []
    for row in counts:
        if row["processes"] == 1:
            continue  # It sends nothing.
        agree = row["counted"] == row["expected"]
        sent = row["sent"]
        rows.append(
            [
                row["processes"],
                row["batch"],
                row["width"],
                row["parameters"],
                *(_bytes(v) for v in row["counted"].values()),
                "equal" if agree else "DIFFERENT",
                "-" if sent is None else _bytes(sent),
                row.get("added", "-"),
                _same(row),
            ]
        )
    return table(header, rows)


def _same(row):
    if "added" not in row:
        return "-"
    return "equal" if row["added"] == row["expected_added"] else "DIFFERENT"


def growth_table(growth):
    """How bytes and operations grow with the devices."""
    names = list(growth[0]["networks"])
    header = ["devices", "global batch", "gather MB"]
    header += [f"gradients MB {name}" for name in names]
    header += ["matrix GFLOP", "matrix GB", f"GB, chunks of {CHUNK}"]
    header += [f"matrix / {name}" for name in names]
    rows = []
    for row in growth:
        own = [row["networks"][name] for name in names]
        rows.append(
            [
                row["devices"],
                row["global_batch"],
                _three(row["gather"] / 1e6),
                *(_three(one["gradients"] / 1e6) for one in own),
                _three(row["matrix_operations"] / 1e9),
                _three(row["matrix_bytes"] / 1e9),
                _three(volume.ITEM * CHUNK * row["global_batch"] / 1e9),
                *(f"{one['matrix_share']:.2%}" for one in own),
            ]
        )
    return table(header, rows)


def limit_table(limits):
    """Where it stops paying."""
    names = list(limits[0]["networks"])
    header = ["batch", "width"]
    for name in names:
        header += [f"{name}: gather > gradients", "90 %", "most"]
        header.append("in chunks")
    rows = []
    for row in limits:
        cells = [row["batch"], row["width"]]
        for name in names:
            cells += [_devices(v) for v in row["networks"][name].values()]
        rows.append(cells)
    return table(header, rows)


def time_table(times):
    """Steps of one process and of two."""
    header = ["network", "", "batch each", "ms a step", "samples/s"]
    header += ["in collectives", "not waiting", "ratio", "to"]
    rows = []
    for found in times:
        for name, title in TITLES.items():
            own = found["summary"][name]
            batch = found["batch"] // (2 if name == "halves" else 1)
            processes = 1 if name == "alone" else 2
            apart = name in ("overlapped", "apart")
            rows.append(
                [
                    found["size"],
                    title,
                    batch,
                    _three(1e3 * own["seconds"]),
                    _three(processes * batch / own["seconds"]),
                    f"{own['communication']:.1%}",
                    f"{own['unwaited']:.1%}",
                    "-" if name == "alone" else _ratio(own["ratio"]),
                    "2, same batch" if apart else "1 process",
                ]
            )
    return table(header, rows)


def verdicts(times):
    """What overlapping saves, and what it could."""
    lines = []
    for found in times:
        saved, bound = (
            found["summary"][name]["ratio"] for name in ("overlapped", "apart")
        )
        lines.append(
            f"{found['size']}: sending gradients during the backward pass "
            f"saves {_saving(saved)} of a step; not sending them at all, the "
            f"most that can be saved, {_saving(bound)}."
        )
    return lines


def _saving(measured):
    return "{:.1%} ({:.1%} to {:.1%})".format(
        *(1 - measured[key] for key in ("ratio", "high", "low"))
    )


def _ratio(measured):
    return "{ratio:.2f} ({low:.2f} to {high:.2f})".format(**measured)


def _bytes(value):
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _three(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _devices(value):
    return f"> {MANY}" if value > MANY else max(int(value), 1)


def write(found, output, arguments, seeds):
    """Prints the tables, and writes it all."""
    example = "batch {batch} per device, width {width}".format(
        **found["example"]
    )
    networks = "\n".join(
        f"{name}: {own['parameters']:,} parameters, "
        f"{own['operations'] / 1e9:.3g} GFLOP for a forward pass."
        for name, own in found["networks"].items()
    )
    print(f"""
With N devices, batch b and width d each, and p parameters, a device sends
  gather     (N - 1) * 2 * b * d * 4 bytes      (teacher and student, a ring)
  gradients  2 * (N - 1) / N * p * 4 bytes      (all-reduce, a ring)
and computes the similarity matrix of all B = N b rows: 4 * B^2 * d operations,
and 4 * B^2 bytes for each copy, or 4 * chunk_size * B. The gather exceeds the
gradients where B * d > p. This is so on PyTorch and TensorFlow; on JAX the
compiler decides what is moved, and divides the matrix between the devices.
{networks}

Growth: {example}.
The last columns compare the operations of the matrix with those of the
networks: a student, and a frozen teacher like it.

{growth_table(found["growth"])}

Where it stops paying: numbers of devices. From the first the gather exceeds
the gradients; up to the second a device keeps 90 % of its throughput; from
"most" on, more devices train fewer samples in a second; with a `chunk_size`,
which takes three times the operations of the matrix, from "in chunks" on. By
operations: what is sent, and the time to read the matrix, come on top.

{limit_table(found["limits"])}
""")
    if found["counts"]:
        print(f"""\
Counted in a training step: bytes that one process sends. "written" is what
the system was handed, with the headers of gloo; "added operations" are those
that a process alone does not have.

{count_table(found["counts"])}

Times: both processes share this machine, one thread each. A ratio of 1 would
be perfect for the same batch each, 0.5 for half the batch each. "nothing
shared": both train by themselves, and have the machine in common. "not
waiting": the process that comes last, so without waiting for the other.

{time_table(found["times"])}
""")
        print("\n".join(verdicts(found["times"])))
    else:
        print(ONLY_TORCH)
    print(record.describe())
    path = record.write(output / "scaling.json", found, arguments, seeds)
    picture = scaling_figure.draw(found, output / "scaling.png")
    print(f"Written: {path}, {picture}")
    return found
