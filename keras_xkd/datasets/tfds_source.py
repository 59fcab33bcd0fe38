import tensorflow_datasets as tfds


def read_columns(name, split, columns, data_dir):
    """Rows of a data set of tensorflow-datasets, as tuples of `columns`.

    It is prepared first if it is not yet. Without TensorFlow, if it is in a
    format of random access.
    """
    builder = tfds.builder(name, data_dir=str(data_dir))
    if not builder.is_prepared():
        builder.download_and_prepare(file_format="array_record")
    try:
        rows = builder.as_data_source(split)
    except NotImplementedError:
        rows = tfds.as_numpy(builder.as_dataset(split=split))
    return [tuple(row[column] for column in columns) for row in rows]
