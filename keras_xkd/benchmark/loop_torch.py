"""A training loop written by hand in plain PyTorch."""

import keras

from keras_xkd.benchmark import loop_math
from keras_xkd.benchmark import native_torch


def feed(batches):
    """Batches in the form that both loops and `fit` read."""
    import torch

    return torch.utils.data.DataLoader(batches, batch_size=None)


def make(work, native=False, compiled=False):
    """A function that trains for an epoch and returns the mean loss.

    Args:
        work: A `Workload`, whose networks are trained, or copied.
        native: Whether to train the same networks made of `torch.nn`, with
            images channels first and the optimizer of PyTorch.
        compiled: Whether to compile the networks by `torch.compile`.
    """
    import torch

    f = native_torch.functions()
    layers = loop_math.parts_of(work)
    frozen = loop_math.FROZEN[work.method]
    players = loop_math.players_of(work.method, layers)
    batches = work.batches()
    device = keras.ops.convert_to_tensor(0.0).device  # Where Keras computes.
    if native:
        run = {
            n: native_torch.part_of(v, work.shape).to(device)
            for n, v in layers.items()
        }
        for name in frozen:
            run[name].eval()
        groups = [
            [p for n in own for p in run[n].parameters()] for own in players
        ]
        trained = [p for group in groups for p in group]
        optimizer = torch.optim.Adam(trained, 1e-3, eps=1e-7)
        batches = [_channels_first(batch) for batch in batches]
    else:
        run = layers
        variables, groups, optimizer = loop_math.keras_training(layers, players)
    if compiled:
        run = {name: torch.compile(own) for name, own in run.items()}

    def part(name, value):
        if not native and isinstance(value, dict):
            value = {n: value[n] for n in layers[name].input}
        options = {} if native else {"training": name not in frozen}
        if name not in frozen:
            return run[name](value, **options)
        with torch.no_grad():
            return run[name](value, **options)

    def step(x, y=None):
        totals = loop_math.totals(work.method, f, part, x, y)
        gradients = []
        for player, (total, group) in enumerate(
            zip(totals, groups, strict=True)
        ):
            keep = player + 1 < len(totals)
            gradients += torch.autograd.grad(total, group, retain_graph=keep)
        if native:
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
        else:
            with torch.no_grad():
                optimizer.apply(gradients, variables)
        return totals[0].detach()

    data = feed(batches)

    def epoch():
        losses = []
        for batch in data:
            moved = keras.tree.map_structure(lambda v: v.to(device), batch)
            losses.append(step(*moved))
        return float(torch.stack(losses).mean())

    return epoch


def _channels_first(batch):
    x, *rest = batch
    x = {
        name: value.transpose(0, 3, 1, 2).copy() if value.ndim == 4 else value
        for name, value in x.items()
    }
    return (x, *rest)
