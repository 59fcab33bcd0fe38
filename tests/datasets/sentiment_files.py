"""Feature files of CMU-MOSI and CMU-MOSEI in their real layouts, but small."""

import pickle

import numpy as np

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
ROWS = {"train": 4, "validation": 2, "test": 3}
WIDTHS = {"text_features": 6, "audio": 5, "video": 4}
FRAMES = {"text_features": 7, "audio": 9, "video": 8}
KEYS = {"text_features": "text", "audio": "audio", "video": "vision"}


def make_samples(aligned, seed=0):
    """What is in the corpus: sequences of their own length, by split."""
    rng = np.random.default_rng(seed)
    samples = {}
    for split, rows in ROWS.items():
        samples[split] = []
        for row in range(rows):
            frames = {n: int(rng.integers(1, 8)) for n in WIDTHS}
            if aligned:
                frames = dict.fromkeys(WIDTHS, frames["audio"])
            sample = {
                name: rng.normal(size=(frames[name], width))
                for name, width in WIDTHS.items()
            }
            sample["text"] = f"Utterance {row} — naïve"
            sample["label"] = round(float(rng.uniform(-3, 3)), 1)
            sample["name"] = f"{split}03bSnISJMiM$_${row}"
            samples[split].append(sample)
    return samples


def write_mmsa(path, samples, aligned, protocol=4):
    """As MMSA: padded with zeros at the end, text with noise; lengths."""
    data = {}
    for split, key in SPLITS.items():
        rows = samples[split]
        content = {
            "raw_text": np.array([s["text"] for s in rows], object),
            "id": [s["name"] for s in rows],
            "text_bert": bert_tokens(rows),
            "annotations": ["Positive"] * len(rows),
            "classification_labels": np.array([2.0] * len(rows)),
            "regression_labels": np.array([s["label"] for s in rows]),
        }
        for name in WIDTHS:
            # The features of [PAD] are not zero.
            fill = 9.0 if name == "text_features" else 0.0
            content[KEYS[name]] = pad(rows, name, aligned, fill=fill)
        if not aligned:
            content["audio_lengths"] = [len(s["audio"]) for s in rows]
            content["vision_lengths"] = [len(s["video"]) for s in rows]
        data[key] = content
    write(path, data, protocol)


def write_mult(path, samples, aligned, triplets=True, protocol=2):
    """As MulT: padded at the start, labels (N, 1, 1), ids of three parts."""
    data = {}
    for split, key in SPLITS.items():
        rows = samples[split]
        data[key] = {
            KEYS[name]: pad(rows, name, aligned, at_start=True)
            for name in WIDTHS
        }
        labels = np.array([s["label"] for s in rows], "float32")
        data[key]["labels"] = labels[:, None, None]
        if triplets:
            data[key]["id"] = np.array(
                [[s["name"].encode(), b"0.5", b"2.0"] for s in rows]
            )
    write(path, data, protocol)


def write(path, data, protocol=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(data, protocol=protocol))


def pad(rows, name, aligned, at_start=False, fill=0.0):
    frames = 8 if aligned else FRAMES[name]
    array = np.full((len(rows), frames, WIDTHS[name]), fill)
    for i, sample in enumerate(rows):
        values = sample[name]
        start = frames - len(values) if at_start else 0
        array[i, start : start + len(values)] = values
    return array


def bert_tokens(rows):
    """Token ids, mask, segments: (N, 3, 10)."""
    tokens = np.zeros((len(rows), 3, 10))
    for i, sample in enumerate(rows):
        length = len(sample["text_features"])
        tokens[i, 0, :length] = 101 + np.arange(length)
        tokens[i, 1, :length] = 1
    return tokens
