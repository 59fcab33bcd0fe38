import keras
from keras import ops


class RunningMeans(keras.metrics.Metric):
    """The means of several numbers, by name, in two variables.

    A `keras.metrics.Mean` for each would add two variables and some ten small
    operations to every step; of a small network they would be half of it.

    Args:
        names: The names.
    """

    def __init__(self, names, name="means"):
        super().__init__(name=name)
        self.names = tuple(names)
        shape = (len(self.names),)
        self.totals = self.add_variable(shape, "zeros", name="totals")
        self.counts = self.add_variable(shape, "zeros", name="counts")

    def update_state(self, values, count):
        """Adds numbers that are the means of `count` samples.

        Args:
            values: A dict `{name: scalar}`; a name that it lacks waits.
            count: Number of samples, a scalar.
        """
        row = [values.get(name, 0.0) for name in self.names]
        row = ops.stack([ops.cast(value, self.dtype) for value in row])
        there = [float(name in values) for name in self.names]
        there = ops.convert_to_tensor(there, self.dtype)
        there = ops.cast(count, self.dtype) * there
        # What a device makes of no sample may be no number.
        self.totals.assign_add(ops.where(there > 0, row * there, 0.0))
        self.counts.assign_add(there)

    def result(self):
        """A dict `{name: mean}`, 0 before the first number."""
        means = self.totals / ops.maximum(self.counts, 1e-7)
        return dict(zip(self.names, ops.unstack(means), strict=True))
