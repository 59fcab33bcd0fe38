import tensorflow_datasets as tfds


def prepared_features(folder):
    """The features of data that is prepared, or None.

    Where shapes are those of the files, they are known without the files once
    the data is prepared.
    """
    if (folder / "features.json").exists():
        return tfds.features.FeatureConnector.from_config(folder)
    return None
