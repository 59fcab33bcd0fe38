import torch


def as_dataset(epochs, open_axes):
    """`Epochs` as a torch `DataLoader`, whose length Keras can ask for."""
    return torch.utils.data.DataLoader(_Iterable(epochs), batch_size=None)


class _Iterable(torch.utils.data.IterableDataset):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def __len__(self):
        return len(self.epochs)

    def __iter__(self):
        return iter(self.epochs)
