"""What a process computes on, and how much memory it took there."""

import pathlib
import re
import sys

import keras


def describe():
    """The device that the backend of Keras uses by default.

    Returns:
        A dict: `kind`, `"cpu"`, `"gpu"` or `"tpu"`; `name`, as the backend
        calls it; `count`, the number of such devices.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        devices = jax.devices()
        kind, name = devices[0].platform, devices[0].device_kind
    elif backend == "torch":
        import torch

        kind, name, devices = "cpu", "cpu", [None]
        if torch.cuda.is_available():
            devices = range(torch.cuda.device_count())
            kind, name = "gpu", torch.cuda.get_device_name(0)
    else:
        import tensorflow as tf

        kind, name = "cpu", "cpu"
        devices = tf.config.list_physical_devices("GPU")
        if devices:
            details = tf.config.experimental.get_device_details(devices[0])
            kind, name = "gpu", details.get("device_name", "gpu")
        devices = devices or tf.config.list_physical_devices("CPU")
    return {"kind": kind, "name": name, "count": len(devices)}


def host_peak():
    """Most bytes of memory that this process ever held, `None` if unknown."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # On Linux, `ru_maxrss` of a new process begins with the peak of the
        # process that started it.
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows.
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_peak():
    """Most bytes of an accelerator's memory, `None` without an accelerator."""
    if describe()["kind"] == "cpu":
        return None
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        found = jax.devices()[0].memory_stats() or {}
        return found.get("peak_bytes_in_use")
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated()
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"]
