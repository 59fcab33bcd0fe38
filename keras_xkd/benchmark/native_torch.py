"""The functions and layers of PyTorch for loops written by hand."""

import keras

from keras_xkd.benchmark.native_bodies import layers_of
from keras_xkd.benchmark.native_bodies import run


def functions():
    """The functions of `loop_math`, by name."""
    import torch
    from torch.nn import functional

    class Functions:
        exp, mean, sin = torch.exp, torch.mean, torch.sin
        diagonal = torch.diagonal
        softplus = functional.softplus

        def sum(x):
            return torch.sum(x, -1)

        def log_softmax(x):
            return functional.log_softmax(x, -1)

        def logsumexp(x, axis):
            return torch.logsumexp(x, axis)

        def argmax(x):
            return torch.argmax(x, -1)

        def unit(x):
            return functional.normalize(x, dim=-1)

        def products(a, b):
            return a @ b.T

        def concatenate(parts, axis):
            return torch.cat(parts, axis)

        def constant(x):
            return x.detach()

        def cross_entropy(labels, logits):
            return functional.cross_entropy(logits, labels.long())

    return Functions


def part_of(layer, shape):
    """A `torch.nn.Module` that does what a Keras layer or network does.

    Images are channels first. The weights are copies.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    def copy(variable, *axes):
        value = torch.tensor(keras.ops.convert_to_numpy(variable))
        return nn.Parameter(value.permute(axes).contiguous() if axes else value)

    def dense(layer):
        module = nn.Linear(*layer.kernel.shape)
        module.weight = copy(layer.kernel, 1, 0)
        module.bias = copy(layer.bias)
        return module

    def conv(layer):
        size, _, inputs, outputs = layer.kernel.shape
        module = nn.Conv2d(
            inputs,
            outputs,
            size,
            layer.strides,
            padding=size // 2,
            bias=False,
        )
        module.weight = copy(layer.kernel, 3, 2, 0, 1)
        return module

    def batch_norm(layer):
        module = nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon, 0.01)
        module.weight, module.bias = copy(layer.gamma), copy(layer.beta)
        return module

    def layer_norm(layer):
        module = nn.LayerNorm(layer.gamma.shape[0], layer.epsilon)
        module.weight, module.bias = copy(layer.gamma), copy(layer.beta)
        return module

    def attention(layer):
        width, heads, size = layer.query_dense.kernel.shape
        modules = nn.ModuleList()
        inputs = [layer.query_dense, layer.key_dense, layer.value_dense]
        linear = nn.Linear(width, 3 * heads * size)
        linear.weight = nn.Parameter(
            torch.cat([copy(i.kernel).reshape(width, -1).T for i in inputs])
        )
        linear.bias = nn.Parameter(
            torch.cat([copy(i.bias).reshape(-1) for i in inputs])
        )
        modules.append(linear)
        linear = nn.Linear(heads * size, width)
        kernel = copy(layer.output_dense.kernel).reshape(-1, width)
        linear.weight = nn.Parameter(kernel.T.contiguous())
        linear.bias = copy(layer.output_dense.bias)
        modules.append(linear)
        return modules

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            makers = {
                keras.layers.Dense: dense,
                keras.layers.Conv2D: conv,
                keras.layers.BatchNormalization: batch_norm,
                keras.layers.LayerNormalization: layer_norm,
                keras.layers.MultiHeadAttention: attention,
            }
            self.own = nn.ModuleDict()
            for one in layers_of(layer):
                if type(one) in makers:
                    self.own[one.name] = makers[type(one)](one)
                elif one.name == "positions":
                    self.vectors = copy(one.kernel)
            if hasattr(layer, "directions"):
                pairs = zip(layer.kernels, layer.biases, strict=True)
                self.matrices = nn.ParameterList(
                    copy(v) for pair in pairs for v in pair
                )
                for i, direction in enumerate(layer.directions):
                    value = copy(direction).detach()
                    self.register_buffer(f"direction_{i}", value)

        def forward(self, value):
            return run(layer, shape, self, value)

        def dense(self, name, x):
            return self.own[name](x)

        def conv(self, name, x, stride):
            return self.own[name](x)

        def spectral_dense(self, i, x):
            kernel, bias = self.matrices[2 * i : 2 * i + 2]
            right = getattr(self, f"direction_{i}")
            with torch.no_grad():
                left = functional.normalize(right @ kernel.T)
                right.copy_(functional.normalize(left @ kernel))
            return x @ (kernel / ((left @ kernel) * right).sum()) + bias

        batch_norm = layer_norm = dense

        def positions(self, name, x):
            return x + self.vectors

        def attention(self, name, x, heads):
            into, out = self.own[name]
            batch, tokens, width = x.shape
            parts = into(x).view(batch, tokens, 3, heads, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v)
            return out(y.transpose(1, 2).reshape(batch, tokens, width))

        def join(self, parts):
            return torch.cat(parts, 1 if parts[0].ndim == 4 else -1)

        def max_pool(self, x):
            return functional.max_pool2d(x, 3, 2, 1)

        def pool_pixels(self, x):
            return x.mean((2, 3))

        def pool_tokens(self, x):
            return x.mean(1)

        def leaky_relu(self, x):
            return functional.leaky_relu(x, 0.2)

        relu = staticmethod(functional.relu)
        gelu = staticmethod(functional.gelu)

        def unit(self, x):
            return functional.normalize(x, dim=-1)

    return Part()
