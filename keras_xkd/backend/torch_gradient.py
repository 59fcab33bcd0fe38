import torch


def gradient_of(fn, x):
    """The gradient of the scalar `fn(x)` with respect to the tensor `x`."""
    x = x.detach().clone().requires_grad_()
    # What cuDNN does for recurrent layers in inference has no gradient.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        value = fn(x)
        if not value.requires_grad:
            return torch.zeros_like(x)
        (gradient,) = torch.autograd.grad(
            value, [x], allow_unused=True, materialize_grads=True
        )
    return gradient
