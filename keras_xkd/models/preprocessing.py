"""What `Encoder.preprocess` does: from raw data to what an encoder reads.

Everything happens in NumPy, or on the CPU where a converter of keras-hub uses
the backend. So the numbers are the same in a notebook, in a thread of a Grain
loader and inside `tf.data`, and no GPU is involved.
"""

import functools
import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_xkd.models.preprocess_audio import preprocess_audio
from keras_xkd.models.preprocess_fit import MASK
from keras_xkd.models.preprocess_fit import by_name
from keras_xkd.models.preprocess_fit import fit
from keras_xkd.models.preprocess_fit import split_mask
from keras_xkd.models.preprocess_images import preprocess_images
from keras_xkd.models.preprocess_text import preprocess_text
from keras_xkd.models.presets import why_no_preprocessing
from keras_xkd.utils.modalities import modalities_of


def preprocess(
    encoder: keras.Model,
    batch: Any,
    *rest: Any,
    sequence_length: int | None = None,
    max_audio_length: float | None = None,
) -> Any:
    """Makes of raw data what the encoder reads.

    Raw text are strings; raw images pixels from 0 to 255, `(batch, height,
    width, channels)`; raw videos `(batch, frames, height, width,
    channels)`; raw audio floats from -1 to 1, `(batch, samples)`, at the
    sampling rate of the preset. Audio and video may come with their mask,
    `{"frames": values, "padding_mask": mask}`, which is kept: the encoder
    must read one (`mask=True`). Otherwise zeros at the end are padding,
    but a sample of zeros counts as a whole. The encoder's `preprocessor`
    does the work with the settings of its preset. Without one, images and
    videos are cut and resized to what the encoder reads and divided by 255,
    and audio for a `front_end` stays as it is.

    It runs in NumPy or on the CPU and is safe in threads. It can be called
    on batches, in `dataset.batch(n).map(encoder.preprocess)` of `tf.data`
    on every backend, and in `map` of Grain after `batch`.

    >>> import keras, numpy as np
    >>> from keras_xkd.models import image_encoder
    >>> inputs = keras.Input((4, 4, 3))
    >>> encoder = image_encoder(keras.Model(inputs, inputs * 1))
    >>> photos = np.full((2, 30, 20, 3), 255, "uint8")
    >>> x = encoder.preprocess({"image": photos, "sample_id": [7, 8]})
    >>> x["image"].shape, float(x["image"].max()), x["sample_id"]
    ((2, 4, 4, 3), 1.0, [7, 8])

    Args:
        batch: Raw data of the encoder's modality; or a dict that has them
            under its name, whose other entries come back as they are; or
            a tuple of such a dict, labels and weights.
        *rest: Labels and weights, which come back as they are.
        sequence_length: Of text: to how many tokens, with those for start
            and end, texts are cut and padded. This package's default is
            128, or less where the encoder reads less; it warns if a text
            was cut.
        max_audio_length: Of audio: to how many seconds it is cut and
            padded. By default what the preset says, 30 seconds for
            Whisper, or the length of the array.

    Returns:
        A dict `{modality: processed}` of NumPy arrays, with the other
        entries of `batch`; a tuple `(dict, *rest)` where there is a rest.

    Raises:
        ValueError: If the data have another form, the encoder has no
            preprocessor, or it gives something else than the encoder reads.
    """
    if not rest and isinstance(batch, tuple) and isinstance(batch[0], dict):
        batch, *rest = batch
    modality = modalities_of(encoder)[0]
    x = dict(batch) if isinstance(batch, dict) else {modality: batch}
    if modality not in x:
        raise ValueError(
            f"'{encoder.name}' preprocesses '{modality}', which the batch "
            f"does not have. Received: a batch of {sorted(x)}"
        )
    options = {
        "sequence_length": sequence_length,
        "max_audio_length": max_audio_length,
    }
    options = {k: v for k, v in options.items() if v is not None}
    run = _run_in_tf_graph if _in_tf_graph() else _run
    x[modality] = run(x[modality], encoder, modality, options)
    return (x, *rest) if rest else x


def saved_preprocessor(encoder):
    """What is saved: a function of the user's own may not be found again."""
    tool = encoder.preprocessor
    return tool if isinstance(tool, keras.Layer) else None


def _run(raw, encoder, modality, options):
    """NumPy arrays in the structure of the encoder's inputs."""
    reads = encoder.input[modality]
    named = reads if isinstance(reads, dict) else {modality: reads}
    main = next(t for n, t in named.items() if not n.endswith(MASK))
    raw = keras.tree.map_structure(_to_numpy, raw)
    step, known = _step(encoder, main, options)
    if known in ("audio", "images") and isinstance(raw, dict):
        raw, there = split_mask(raw, named, encoder.name)
        step = functools.partial(step, there=there)
    with keras.device("cpu"):
        found = step(raw)
        found = keras.tree.map_structure(_to_numpy, found)
    if not isinstance(found, dict):
        found = by_name(found, named)
    missing = sorted(set(named) - set(found))
    if missing:
        raise ValueError(
            f"'{encoder.name}' reads {sorted(named)}: its preprocessor must "
            f"give them all. Received: {sorted(found)}"
        )
    arrays = {
        name: fit(found[name], tensor, f"'{encoder.name}', input '{name}'")
        for name, tensor in named.items()
    }
    return arrays if reads is named else arrays[modality]


def _step(encoder, main, options):
    """A function from raw data to `(values, mask)`, to values or to a dict.

    Returns it and the kind of data, None for a function of the user's own.

    Args:
        encoder: An `Encoder`.
        main: Its symbolic input, of several the one that is no mask.
        options: Keyword arguments of `preprocess`.
    """
    rank, floats = len(main.shape), "float" in str(main.dtype)
    tool, kind = _tool(encoder, floats)
    if tool is None:
        # An encoder of two-dimensional floats has a front end.
        kind = {2: "audio", 4: "images", 5: "images"}.get(rank * floats)
    if tool is not None and kind is None:
        return functools.partial(tool, **options), None
    if kind is None:
        why = why_no_preprocessing(
            encoder.preset, "audio" if floats else "text"
        )
        raise ValueError(
            f"'{encoder.name}' has no preprocessor: {why}. Pass one to the "
            "function that makes the encoder, `preprocessor=`: a tokenizer or "
            "converter of keras-hub, or a function from raw data to what the "
            "encoder reads. Or feed the encoder with data that are ready."
        )
    step, *allowed = {
        "text": (preprocess_text, "sequence_length"),
        "audio": (preprocess_audio, "max_audio_length"),
        "images": (functools.partial(preprocess_images, shape=main.shape),),
    }[kind]
    if set(options) - set(allowed):
        raise ValueError(
            f"`preprocess` of '{encoder.name}' takes {allowed or 'no options'}."
            f" Received: {options}"
        )
    step = functools.partial(step, tool=tool, encoder=encoder, **options)
    return step, kind


def _tool(encoder, floats):
    """What the preprocessor works with, and its kind if that is known."""
    tool, hub = encoder.preprocessor, sys.modules.get("keras_hub")
    if tool is None or hub is None:  # None of keras-hub's without keras-hub.
        return tool, None
    if isinstance(tool, hub.models.Preprocessor) and floats:
        tool = tool.image_converter or tool.audio_converter or tool
    if isinstance(tool, hub.layers.VideoConverter):
        tool = tool.image_converter
    kinds = {
        "text": hub.models.Tokenizer,
        "audio": hub.layers.AudioConverter,
        "images": hub.layers.ImageConverter,
    }
    known = [name for name, cls in kinds.items() if isinstance(tool, cls)]
    return tool, known[0] if known else None


def _to_numpy(value):
    if isinstance(value, np.ndarray):
        return value
    if ops.is_tensor(value):
        return ops.convert_to_numpy(ops.stop_gradient(value))
    if hasattr(value, "__array__"):
        return np.asarray(value)
    return value


def _in_tf_graph():
    """Whether TensorFlow is tracing, on whatever backend."""
    tf = sys.modules.get("tensorflow")
    return tf is not None and not tf.executing_eagerly()


def _run_in_tf_graph(raw, encoder, modality, options):
    """`_run` as one node of a `tf.data` pipeline."""
    import tensorflow as tf

    reads = encoder.input[modality]
    named = reads if isinstance(reads, dict) else {modality: reads}
    flat = [tf.convert_to_tensor(value) for value in keras.tree.flatten(raw)]

    def run(*arrays):
        value = keras.tree.pack_sequence_as(raw, list(arrays))
        found = _run(value, encoder, modality, options)
        return [found[n] for n in named] if reads is named else [found]

    types = [
        "float32" if "float" in str(tensor.dtype) else str(tensor.dtype)
        for tensor in named.values()
    ]
    found = dict(zip(named, tf.numpy_function(run, flat, types)))
    for name, tensor in named.items():
        found[name].set_shape((flat[0].shape[0], *tensor.shape[1:]))
    return found if reads is named else found[modality]
