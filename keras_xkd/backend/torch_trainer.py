import keras
import torch

from keras_xkd.backend import torch_replicas as replicas
from keras_xkd.backend.torch_forgetting import forgetting
from keras_xkd.backend.torch_together import TrainsTogether


def outside_trace(fn):
    """Runs `fn`, which makes variables. Here nothing is in the way."""
    fn()


def no_gradient(fn, *args, **kwargs):
    """Runs `fn` as a constant. No activation is kept."""
    with torch.no_grad():
        if torch.compiler.is_compiling():  # It knows by itself what is read.
            return fn(*args, **kwargs)
        with forgetting():
            return fn(*args, **kwargs)


class KeepsState:
    """A mixin of `keras.Model`. Here an exception leaves variables in place."""


class BackendTrainer(TrainsTogether):
    """The training and test steps of a `Distiller` on PyTorch."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.ownership.variables
        guarded = self.on_nonfinite == "raise"
        if guarded:
            state = self.non_trainable_variables
            before = [v.value.detach().clone() for v in state]
        totals, report = self.objective(x, y, sample_weight, training=True)
        if not self._verified:  # Listing the variables in every step is slow.
            self.ownership.indices(0, self.trainable_variables)
            self._verified = True
        gradients = [None] * len(variables)
        for player, total in enumerate(totals):
            own = self.ownership.indices(player, variables)
            if not own or not total.requires_grad:
                continue
            found = torch.autograd.grad(
                self.optimizer.scale_loss(total),
                [variables[i].value for i in own],
                retain_graph=player + 1 < len(totals),
                allow_unused=True,
            )
            for i, gradient in zip(own, found, strict=True):
                gradients[i] = gradient
        gradients = self.fill_gradients(gradients, variables)
        gradients = self.gradients_of_all(gradients, x)
        with torch.no_grad():
            finite = _finite(totals) if guarded else True
            if guarded and not _everywhere(finite):
                for variable, old in zip(state, before, strict=True):
                    variable.assign(old)
                if finite:
                    raise ValueError(
                        "The loss of another process is not finite. No weight "
                        "was changed in this step."
                    )
            else:
                self.optimizer.apply(gradients, variables)
            return self.record(report, totals, x, y, sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        totals, report = self.objective(x, y, sample_weight, training=False)
        return self.record(report, totals, x, y, sample_weight)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _checked(self, self.train_function)


def _finite(totals):
    return torch.isfinite(torch.stack(totals)).all()


def _everywhere(finite):
    """Whether that is so in all processes."""
    (bad,) = replicas.replica_total((~finite).to(torch.float32))
    return not bad


def _checked(distiller, function):
    def step(data):
        logs = function(data)
        distiller.check_finite(logs)
        return logs

    return step
