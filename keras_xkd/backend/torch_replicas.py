"""Processes that share a batch, on PyTorch: `torch.distributed`.

Each process sees its own samples. Its total counts as much as it has samples,
so that the mean over the processes is the mean over the batch.
"""

import contextlib
import math
import os
import warnings

import keras
import torch
import torch.distributed as dist

# As in DistributedDataParallel: large enough that the latency of a message
# does not count, small enough that the next is packed while it is sent.
BUCKET_BYTES = 25 * 2**20


def check_keras_distribution():
    """Raises where `keras.distribution` would do nothing."""
    if keras.distribution.distribution() is not None:
        raise ValueError(
            "`keras.distribution` does nothing on PyTorch. Start several "
            "processes by `torchrun` and call "
            "`torch.distributed.init_process_group()`, or use the JAX "
            "backend. Received: a distribution of type "
            f"{type(keras.distribution.distribution()).__name__}"
        )


def check_group():
    """Warns where several processes would train by themselves."""
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started > 1 and replica_count() == 1:
        warnings.warn(
            f"There are {started} processes, but each trains by itself. Call "
            "`torch.distributed.init_process_group()` before `compile`.",
            stacklevel=2,
        )


def is_first_process():
    """Whether this process writes files."""
    return replica_count() == 1 or dist.get_rank() == 0


def by_itself():
    """What this process does alone. Here nothing is in the way."""
    return contextlib.nullcontext()


def replica_count():
    """Number of processes that share a batch."""
    if not dist.is_available() or not dist.is_initialized():
        return 1
    return dist.get_world_size()


def gather(tensors):
    """The rows of all processes, in the same order in each.

    A gradient goes back to the rows of each process. What is computed from
    the rows of all is the same everywhere, so that it need not be sent.

    Args:
        tensors: A list of tensors with the same number of rows.
    """
    if replica_count() == 1 or not tensors:
        return tensors
    sizes = _sizes(tensors[0])
    gathered = [None] * len(tensors)
    for kind in dict.fromkeys(x.dtype for x in tensors):
        # Side by side, in one message: each has a latency of its own.
        places = [i for i, x in enumerate(tensors) if x.dtype == kind]
        own = [tensors[i] for i in places]
        widths = [math.prod(x.shape[1:]) for x in own]
        flat = [x.reshape(len(x), n) for x, n in zip(own, widths)]
        rows = _Gather.apply(torch.cat(flat, dim=1), sizes)
        parts = rows.split(widths, dim=1)
        for i, x, part in zip(places, own, parts):
            gathered[i] = part.reshape(len(part), *x.shape[1:])
    return gathered


def _sizes(x):
    """The numbers of rows of all processes, a list."""
    own = torch.tensor([x.shape[0]], device=x.device)
    sizes = torch.empty(replica_count(), dtype=own.dtype, device=x.device)
    dist.all_gather(list(sizes.split(1)), own)
    return sizes.tolist()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, sizes):
        ctx.sizes = sizes
        ctx.start = sum(sizes[: dist.get_rank()])
        ctx.rows = x.shape[0]
        x = x.detach()
        sent = x.to(torch.uint8) if x.dtype == torch.bool else x
        largest = max(sizes)
        if x.shape[0] < largest:
            padding = sent.new_zeros(largest - x.shape[0], *x.shape[1:])
            sent = torch.cat([sent, padding])
        sent = sent.contiguous()
        parts = [torch.empty_like(sent) for _ in sizes]
        dist.all_gather(parts, sent)
        rows = [part[:size] for part, size in zip(parts, sizes)]
        return torch.cat(rows).to(x.dtype)

    @staticmethod
    def backward(ctx, found):
        # The total of a process counts `rows / sum(sizes)`.
        share = sum(ctx.sizes) / max(ctx.rows, 1)
        return found[ctx.start : ctx.start + ctx.rows] * share, None


def replica_total(*values):
    """Sums of scalars over the processes, without a gradient."""
    if replica_count() == 1:
        return values
    total = torch.stack([torch.as_tensor(v).detach() for v in values])
    dist.all_reduce(total)
    return list(total.unbind())


def by_replica(fn, tensors):
    """`fn` of the samples of each process by themselves: those of a step."""
    return fn(tensors)


def sum_over_replicas(tensors, weight=1.0):
    """The sums of `weight * tensor` over the processes, in few messages."""
    sums = [None] * len(tensors)
    sent = []
    for bucket in _buckets(tensors):
        flat = torch.cat([tensors[i].detach().reshape(-1) for i in bucket])
        flat = flat * weight
        sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
    for bucket, flat, work in sent:
        work.wait()
        parts = flat.split([tensors[i].numel() for i in bucket])
        for i, part in zip(bucket, parts):
            sums[i] = part.view(tensors[i].shape)
    return sums


def _buckets(tensors):
    """Indices of tensors of one kind, together not much beyond the bound."""
    buckets, filled = {}, []
    for i, tensor in enumerate(tensors):
        kind = (tensor.dtype, tensor.device)
        bucket, size = buckets.get(kind, ([], 0))
        bucket.append(i)
        size += tensor.numel() * tensor.element_size()
        buckets[kind] = (bucket, size)
        if size >= BUCKET_BYTES:
            filled.append(buckets.pop(kind)[0])
    return [*filled, *(bucket for bucket, _ in buckets.values())]


def from_first(tensor):
    """The tensor of the first process."""
    tensor = tensor.detach().clone().contiguous()
    dist.broadcast(tensor, src=0)
    return tensor


def differing(variables):
    """Those of the variables that processes hold different values of.

    They send a number for each variable.
    """
    if not variables:
        return []
    own = torch.stack([_fingerprint(v.value.detach()) for v in variables])
    apart = (from_first(own) != own).to(torch.int64)
    dist.all_reduce(apart)
    return [v for v, n in zip(variables, apart.tolist()) if n]


def _fingerprint(x, piece=2**20):
    """A number that depends on every bit of a tensor, and on its place.

    Whole numbers wrap around, and so the order of adding does not matter.
    """
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = x.reshape(-1).contiguous().view(kind[x.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, len(bits), piece):  # 8 bytes for each value.
        part = bits[start : start + piece].to(torch.int64)
        place = torch.arange(len(part), device=bits.device) + start + 1
        # The golden ratio in 64 bits; odd, so that no bit is lost.
        total += (part * (place * -7046029254386353131 | 1)).sum()
    return total


def follow_first(variables):
    """Gives the variables the values that they have in the first process."""
    for variable in variables:
        variable.assign(from_first(variable.value))


def set_apart(random_state):
    """Makes a random state another one in every process but the first."""
    state = keras.ops.convert_to_numpy(random_state).copy()
    state[0] = (int(state[0]) + 1_000_003 * dist.get_rank()) % 2**31
    random_state.assign(state)


def average(variables):
    """Gives variables their mean over the processes.

    What is equal everywhere is not sent, and stays as it is.
    """
    variables = differing(variables)
    own = [variable.value.detach() for variable in variables]
    first = [from_first(value) for value in own]
    apart = [value - other for value, other in zip(own, first)]
    moved = sum_over_replicas(apart, 1 / replica_count())
    for variable, value, by in zip(variables, first, moved):
        variable.assign(value + by)
