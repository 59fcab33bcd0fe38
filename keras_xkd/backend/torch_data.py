import torch


def as_dataset(epochs, open_axes):
    """`Epochs` as a torch `DataLoader`, whose length Keras can ask for."""
    return torch.utils.data.DataLoader(
        _Iterable(epochs), batch_size=None, collate_fn=_tensors
    )


def _tensors(batch):
    """A batch of tensors; torch's own function makes a list of a tuple."""
    convert = torch.utils.data.default_convert
    if isinstance(batch, tuple):
        return tuple(convert(part) for part in batch)
    return convert(batch)


class _Iterable(torch.utils.data.IterableDataset):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def __len__(self):
        return len(self.epochs)

    def __iter__(self):
        return iter(self.epochs)
