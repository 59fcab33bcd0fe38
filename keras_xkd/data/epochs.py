"""Batches, epoch after epoch. Imported where it is used: it needs Grain."""

import grain


class Epochs(grain.IterDataset):
    """A Grain data set whose order is another one in every epoch.

    An epoch is over when its last batch was handed out: `fit` looks at the
    first batches before it begins, and this must not count.

    Args:
        make_batches: A function from the number of the epoch to a sequence of
            batches.
        workers: Number of threads that make batches.
        prefetch: Number of batches that are made ahead.
    """

    def __init__(self, make_batches, workers=1, prefetch=2):
        super().__init__()
        self.make_batches = make_batches
        self.options = grain.ReadOptions(
            num_threads=workers, prefetch_buffer_size=max(workers, prefetch)
        )
        self.epoch = 0

    def __len__(self):
        return len(self.make_batches(self.epoch))

    def __iter__(self):
        batches = self.make_batches(self.epoch)
        dataset = grain.MapDataset.source(batches)
        return _Epoch(dataset.to_iter_dataset(self.options), self, len(batches))


class _Epoch(grain.DatasetIterator):
    def __init__(self, dataset, epochs, size):
        super().__init__(iter(dataset))
        self.epochs = epochs
        self.left = size

    def __next__(self):
        batch = next(self._parent)
        self.left -= 1
        if not self.left:
            self.epochs.epoch += 1
        return batch

    def get_state(self):
        return {"parent": self._parent.get_state(), "left": self.left}

    def set_state(self, state):
        self._parent.set_state(state["parent"])
        self.left = state["left"]
