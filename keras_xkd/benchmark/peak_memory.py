"""The most memory that a function has at any time, beyond what was there."""

import gc
import os

import keras

from keras_xkd.benchmark import backends_device


def peak(function, before=0):
    """Runs `function`, which waits for its results.

    On an accelerator, and on the processor with PyTorch, these are the bytes
    that the framework's own allocator had given out. On the processor with
    TensorFlow, which does not count them and keeps freed memory, it is the
    growth of the whole process: ask for small sizes first.

    Args:
        function: What to run.
        before: What `backends_device.host_peak` was before the first size.

    Returns:
        `(what the function returns, bytes)`, or `None` for bytes where they
        cannot be measured.
    """
    gc.collect()
    on_device = backends_device.describe()["kind"] != "cpu"
    if keras.backend.backend() == "torch":
        return _torch_device(function) if on_device else _torch_host(function)
    if keras.backend.backend() == "tensorflow" and on_device:
        return _tensorflow_device(function)
    result, most = function(), backends_device.host_peak()
    return result, None if most is None else max(most - before, 0)


def _torch_device(function):
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = function()
    torch.cuda.synchronize()
    return result, torch.cuda.max_memory_allocated() - before


def _torch_host(function):
    import torch

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # Its start and its end.
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        result = function()
    # Every event is an allocation, or, with a negative size, its end.
    events = sorted(
        (event.start_ns(), event.nbytes())
        for event in profile.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    now = most = 0
    for _, size in events:
        now += size
        most = max(most, now)
    return result, most


def _tensorflow_device(function):
    import tensorflow as tf

    tf.config.experimental.reset_memory_stats("GPU:0")
    before = tf.config.experimental.get_memory_info("GPU:0")["current"]
    result = function()
    after = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return result, after - before
