"""Embeddings as files of TensorBoard's projector."""

import json
import pathlib
import re
from typing import Any

import keras
import numpy as np

from keras_xkd.utils import overview
from keras_xkd.utils.features import features_of
from keras_xkd.utils.features import pooled
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.outputs import Outputs

BATCH = 256


class Features:
    """The features of a network, as NumPy.

    Args:
        model: A distiller, or a model: of a distiller the main network.
    """

    def __init__(self, model: keras.Model) -> None:
        roles = overview.asked(model, "roles", {})
        self.network = roles[model.main] if roles else model
        self.readout = Outputs()
        # An encoder that learns behind a projector returns its features. A
        # classifier's are what its last layer reads.
        if "projector" not in roles:
            self.readout.require(self.network, "features")

    def __call__(self, x: Any) -> np.ndarray:
        """Features of shape `(samples, width)`."""
        inputs = select_modalities(x, self.network)
        sizes = {len(leaf) for leaf in keras.tree.flatten(inputs)}
        if len(sizes) != 1:
            raise ValueError(
                "All modalities must have the same number of samples. "
                f"Received: {sorted(sizes)}"
            )
        rows = []
        for start in range(0, sizes.pop(), BATCH):
            batch = keras.tree.map_structure(
                lambda leaf, i=start: keras.ops.convert_to_tensor(
                    leaf[i : i + BATCH]
                ),
                inputs,
            )
            outputs = self.readout.run(self.network, batch, training=False)
            found = pooled(features_of(outputs, self.network))
            found = keras.ops.stop_gradient(keras.ops.cast(found, "float32"))
            rows.append(keras.ops.convert_to_numpy(found))
        return np.concatenate(rows)


def write(
    folder: str, features: dict[str, np.ndarray], labels: dict[str, Any]
) -> None:
    """Writes features and labels, and the file by which they are found.

    Args:
        folder: That of a run, which has event files.
        features: A dict `{name: features}`.
        labels: A dict `{name: one label per row}` of those that have some.
    """
    folder = pathlib.Path(folder)
    (folder / "embeddings").mkdir(parents=True, exist_ok=True)
    entries = []
    for place, (name, rows) in enumerate(features.items()):
        # Two names may differ in what a file name cannot have.
        stem = f"embeddings/{place}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}"
        lines = ("\t".join(f"{v:.6g}" for v in row) for row in rows)
        (folder / f"{stem}.tsv").write_text("\n".join(lines) + "\n")
        entry = {"tensor_name": name, "tensor_path": f"{stem}.tsv"}
        if name in labels:
            entry["metadata_path"] = f"{stem}_labels.tsv"
            lines = [" ".join(str(v).split()) for v in labels[name]]
            text = "\n".join(lines) + "\n"
            (folder / entry["metadata_path"]).write_text(text, "utf-8")
        fields = "\n".join(
            f"  {key}: {json.dumps(value)}" for key, value in entry.items()
        )
        entries.append(f"embeddings {{\n{fields}\n}}\n")
    (folder / "projector_config.pbtxt").write_text("".join(entries))
