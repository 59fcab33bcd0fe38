"""Other ways to reduce gradients, to see what they would save.

An experiment on PyTorch beside the training step of this package, which sends
gradients when all of them are known.
"""

import contextlib
from unittest import mock


@contextlib.contextmanager
def apart():
    """Inside, gradients are not reduced: what could be saved at most."""
    from keras_xkd.backend import torch_replicas

    def keep(tensors, weight=1.0):
        return tensors

    with mock.patch.object(torch_replicas, "sum_over_replicas", keep):
        yield


@contextlib.contextmanager
def overlapped():
    """Inside, a bucket of gradients is sent as soon as it is complete.

    For one player, and processes with equally many samples.
    """
    import torch

    from keras_xkd.backend import torch_replicas

    way = _Overlap(torch.autograd.grad)
    with (
        mock.patch.object(torch.autograd, "grad", way.grad),
        mock.patch.object(
            torch_replicas, "sum_over_replicas", way.sum_over_replicas
        ),
    ):
        yield


class _Overlap:
    """Hooks of the weights, which the backward pass calls."""

    def __init__(self, grad):
        self._grad = grad

    def grad(self, total, tensors, **kwargs):
        """`torch.autograd.grad`, which sends on the way."""
        from keras_xkd.backend.torch_replicas import _buckets

        # The last layers are the first to have gradients.
        order = list(reversed(range(len(tensors))))
        buckets = _buckets([tensors[i] for i in order])
        self.tensors, self.ready, self.sent = tensors, {}, []
        self.buckets = [[order[k] for k in bucket] for bucket in buckets]
        hooks = [
            tensor.register_hook(lambda gradient, i=i: self._come(i, gradient))
            for i, tensor in enumerate(tensors)
        ]
        try:
            found = self._grad(total, tensors, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        for i, tensor in enumerate(tensors):  # Those without a gradient.
            self.ready.setdefault(i, tensor.detach() * 0)
        self._send()
        return found

    def _come(self, i, gradient):
        self.ready[i] = gradient
        self._send()

    def _send(self):
        """Sends what is complete, in the same order in all processes."""
        import torch
        import torch.distributed as dist

        while len(self.sent) < len(self.buckets):
            bucket = self.buckets[len(self.sent)]
            if not all(i in self.ready for i in bucket):
                return
            parts = [self.ready[i].detach().reshape(-1) for i in bucket]
            flat = torch.cat(parts)
            self.sent.append((flat, dist.all_reduce(flat, async_op=True)))

    def sum_over_replicas(self, tensors, weight=1.0):
        """What has been sent, when it has arrived."""
        sums = [None] * len(tensors)
        for bucket, (flat, work) in zip(self.buckets, self.sent, strict=True):
            work.wait()
            flat.mul_(weight)
            parts = flat.split([tensors[i].numel() for i in bucket])
            for i, part in zip(bucket, parts, strict=True):
                sums[i] = part.view(tensors[i].shape)
        return sums
