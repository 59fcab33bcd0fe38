"""The networks of the benchmarks of speed, without Keras.

Written once for all frameworks: `own` is a framework's set of layers, see
`native_jax.py` and its neighbours. Each is called with its name in the Keras
network, whose weights it has.
"""

import keras


def run(layer, shape, own, value):
    """What a Keras layer or network of a workload does, in `own` layers.

    Args:
        layer: The Keras layer or network, which tells what to compute.
        shape: The `Shape` of the networks.
        own: The layers of a framework, with the weights of `layer`.
        value: A batch `{modality: tensor}`, or a tensor of features.
    """
    names = [inner.name for inner in getattr(layer, "layers", ())]
    if isinstance(layer, keras.Sequential):  # The generator of AMID.
        return own.dense(names[1], own.relu(own.dense(names[0], value)))
    if isinstance(layer, keras.layers.Dense):
        return own.dense(layer.name, value)
    if not isinstance(layer, keras.Model):
        return _small(layer, own, value)
    x = [value[name] for name in layer.input]
    x = x[0] if len(x) == 1 else own.join(x)
    if "stem" in names:
        x = _resnet(x, shape, own, names)
    elif "embed" in names:
        x = _transformer(x, shape, own)
    else:
        x = _mlp(x, shape, own)
    outputs = {"features": x}
    if "head" in names:
        outputs["logits"] = own.dense("head", x)
    return outputs


def layers_of(layer):
    """A Keras layer and those inside it, of which `own` needs the weights."""
    if isinstance(layer, keras.Model):
        return layer.layers
    if hasattr(layer, "outer"):
        return [part for part in (layer.inner, layer.outer) if part is not None]
    return [layer]


def _small(layer, own, value):
    """A projection head, or the discriminator of AMID."""
    if hasattr(layer, "outer"):
        if layer.inner is not None:
            value = own.relu(own.dense("inner", value))
        return own.unit(own.dense("outer", value))
    for i in range(len(layer.kernels)):
        value = own.leaky_relu(value) if i else value
        value = own.spectral_dense(i, value)
    return value


def _mlp(x, shape, own):
    for i in range(shape.blocks):
        last = i + 1 == shape.blocks
        x = own.relu(own.dense("features" if last else f"dense_{i}", x))
    return x


def _resnet(x, shape, own, names):
    x = own.relu(own.batch_norm("stem_norm", own.conv("stem", x, 2)))
    x = own.max_pool(x)
    for stage in range(shape.stages):
        for block in range(shape.blocks):
            name = f"stage_{stage}_{block}"
            stride = 2 if stage and not block else 1
            short = x
            if f"{name}_short" in names:
                short = own.conv(f"{name}_short", x, stride)
                short = own.batch_norm(f"{name}_short_norm", short)
            x = own.batch_norm(
                f"{name}_norm_1", own.conv(f"{name}_1", x, stride)
            )
            x = own.batch_norm(
                f"{name}_norm_2", own.conv(f"{name}_2", own.relu(x), 1)
            )
            x = own.relu(x + short)
    return own.pool_pixels(x)


def _transformer(x, shape, own):
    x = own.positions("positions", own.dense("embed", x))
    for i in range(shape.blocks):
        y = own.layer_norm(f"norm_{i}_1", x)
        x = x + own.attention(f"attention_{i}", y, shape.heads)
        y = own.gelu(own.dense(f"inner_{i}", own.layer_norm(f"norm_{i}_2", x)))
        x = x + own.dense(f"outer_{i}", y)
    return own.pool_tokens(own.layer_norm("norm", x))
