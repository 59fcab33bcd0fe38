"""Texts to token ids and masks."""

import inspect
import string
import sys
import warnings

import numpy as np

# Longer than most captions and opinions; a quarter of what BERT can read.
LENGTH = 128

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def preprocess_text(raw, tool, encoder, sequence_length=None):
    """Token ids and a mask, each of shape `(batch, length)`.

    A text becomes one segment between the start and the end token of the
    tokenizer, where it has these, as the encoders were trained.

    Args:
        raw: Strings, or bytes in UTF-8; a list or an array of shape `(batch,)`.
        tool: A tokenizer of keras-hub.
        encoder: An `Encoder`, for its name and its `max_length`.
        sequence_length: To how many tokens texts are cut and padded. 128 where
            nothing is said, or what the encoder can read at most.
    """
    longest = encoder.max_length
    length = sequence_length or min(LENGTH, longest or LENGTH)
    if not 2 < length <= (longest or length):
        raise ValueError(
            "`sequence_length` must be more than 2"
            + (f" and at most {longest}" if longest else "")
            + f", what '{encoder.name}' can read. Received: "
            f"sequence_length={sequence_length}"
        )
    start = _special(tool, "start_token_id")
    end = _special(tool, "end_token_id")
    room = length - len(start) - len(end)
    texts = _canonical(_strings(raw), tool)
    rows = [np.asarray(r, "int32").ravel() for r in tool(texts)]
    cut = sum(len(row) > room for row in rows)
    if cut and sequence_length is None:
        warnings.warn(
            f"{cut} of {len(rows)} texts have more than {length} tokens and "
            f"were cut. Pass `sequence_length=` to `preprocess`"
            + (f", at most {longest}" if longest else "")
            + f"; `sequence_length={length}` if this is what you want.",
            stacklevel=2,
        )
    pad = getattr(tool, "pad_token_id", None) or 0
    ids = np.full((len(rows), length), pad, "int32")
    mask = np.zeros((len(rows), length), "bool")
    for i, row in enumerate(rows):
        row = [*start, *row[:room], *end]
        ids[i, : len(row)] = row
        mask[i, : len(row)] = True
    return ids, mask


def _special(tokenizer, name):
    """A list of the one token, or of none."""
    token = getattr(tokenizer, name, None)
    return [] if token is None else [token]


def _strings(raw):
    """A list of str."""
    array = None if isinstance(raw, (str, bytes, dict)) else np.asarray(raw)
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array is None or array.ndim != 1:
        raise ValueError(
            "Texts must be a list or an array of strings, one per sample. "
            f"Received: {_describe(raw, array)}"
        )
    texts = [t.decode() if isinstance(t, bytes) else t for t in array.tolist()]
    wrong = [t for t in texts if not isinstance(t, str)]
    if wrong:
        raise ValueError(
            "Texts must be strings; tokens that are ready need no "
            f"preprocessing. Received: {wrong[0]!r}"
        )
    return texts


def _describe(raw, array):
    if array is None:
        return f"{type(raw).__name__} {str(raw)[:40]!r}"
    return f"an array of shape {array.shape}"


def _canonical(texts, tokenizer):
    """Texts in lower case without punctuation, if the model wants them so.

    SigLIP's tokenizer leaves this to its preprocessor, which cannot do it
    without TensorFlow.
    """
    preprocessor = sys.modules["keras_hub"].models.CausalLMPreprocessor
    if not any(
        isinstance(tokenizer, cls.tokenizer_cls)
        and "canonicalize_text" in inspect.signature(cls).parameters
        for cls in preprocessor.__subclasses__()
    ):
        return texts
    texts = [text.translate(_NO_PUNCTUATION).lower() for text in texts]
    return [" ".join(text.split()) for text in texts]
