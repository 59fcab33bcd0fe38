"""The picture of `scaling`."""

from keras_xkd.benchmark import scaling_volume as volume
from keras_xkd.benchmark.scaling_times import TITLES
from keras_xkd.visualization import canvas

COLORS = (canvas.BLUE, canvas.ORANGE)


def draw(found, path):
    """Bytes, throughput and, where they were taken, times."""
    panels = 3 if found["times"] else 2
    figure, axes = canvas.new(1, panels, size=(4.3 * panels, 3.8))
    _draw_bytes(axes[0], found)
    _draw_throughput(axes[1], found)
    if found["times"]:
        _draw_times(axes[2], found["times"])
    return canvas.save(figure, path)


def _draw_bytes(axis, found):
    batch = found["example"]["batch"]
    devices = [row["devices"] for row in found["growth"]]
    for width, style in ((128, ":"), (512, "-"), (2048, "--")):
        moved = [volume.gathered(n, batch, width) / 1e6 for n in devices]
        label = f"gather, width {width}"
        axis.plot(devices, moved, style, color=canvas.GREEN, label=label)
    for name, color in zip(found["networks"], COLORS, strict=True):
        moved = [
            r["networks"][name]["gradients"] / 1e6 for r in found["growth"]
        ]
        axis.plot(devices, moved, color=color, label=f"gradients of {name}")
    axis.set(xlabel="devices", ylabel="MB that each sends in a step")
    axis.set_title(f"Bytes, batch {batch} per device", fontsize=10)
    _logarithmic(axis)


def _draw_throughput(axis, found):
    devices = [row["devices"] for row in found["growth"]]
    axis.plot(devices, devices, color=canvas.GREY, linewidth=1, label="ideal")
    width = found["example"]["width"]
    for name, color in zip(found["networks"], COLORS, strict=True):
        forward = found["networks"][name]["operations"]
        for batch, style in ((128, "-"), (1024, "--")):
            axis.plot(
                devices,
                [volume.speedup(n, forward, batch, width) for n in devices],
                style,
                color=color,
                label=f"{name}, batch {batch} each",
            )
    axis.set(xlabel="devices", ylabel="times the samples of one device")
    axis.set_title(f"Throughput by operations, width {width}", fontsize=10)
    _logarithmic(axis)


def _logarithmic(axis):
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.grid(True, alpha=0.25)
    axis.legend(fontsize=7, frameon=False)


def _draw_times(axis, times):
    names = list(TITLES)
    labels, done, sent = [], [], []
    for found in times:
        base = found["summary"]["alone"]["seconds"]
        for name in names:
            own = found["summary"][name]
            length = own["seconds"] / base
            labels.append(f"{found['size']}: {TITLES[name]}")
            done.append(length * (1 - own["communication"]))
            sent.append(length * own["communication"])
    places = list(range(len(labels)))
    axis.barh(places, done, color=canvas.BLUE, label="computing")
    axis.barh(places, sent, left=done, color=canvas.ORANGE, label="collectives")
    axis.set_yticks(places, labels, fontsize=6)
    axis.invert_yaxis()
    axis.axvline(1, color=canvas.GREY, linewidth=0.8)
    axis.set_xlabel("time of a step, 1 process = 1")
    axis.set_title("Two processes on this machine", fontsize=10)
    axis.legend(fontsize=7, frameon=False)
