"""A small builder of clips that differ in length, and may lack their sound."""

import numpy as np
import tensorflow_datasets as tfds


def _floats(size):
    return tfds.features.Tensor(shape=(size,), dtype=np.float32)


class Clips(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Clip `i` has `2 + i % 3` frames of the value i; every fifth is silent."""

    VERSION = tfds.core.Version("1.0.0")
    SIZE = 20

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "video": tfds.features.Sequence(
                        tfds.features.Image(shape=(2, 2, 3))
                    ),
                    "audio": _floats(None),
                    "text": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(num_classes=4),
                    "words": tfds.features.Sequence(tfds.features.Text()),
                    "score": np.float32,
                    "name": tfds.features.Text(),
                    "present": {"audio": np.bool_},
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(range(self.SIZE)),
            "test": self._generate_examples(range(100, 102)),
        }

    def _generate_examples(self, clips):
        for i in clips:
            silent = i % 5 == 0
            frames = np.full((2 + i % 3, 2, 2, 3), i, "uint8")
            yield (
                i,
                {
                    "video": list(frames),
                    "audio": np.full(0 if silent else 4 + i, i, "float32"),
                    "text": f"clip {i}",
                    "label": i % 4,
                    "words": ["word"] * len(str(i)),
                    "score": i / 10,
                    "name": str(i),
                    "present": {"audio": not silent},
                },
            )


class Sounds(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Ten sounds of classes 2 to 5."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "audio": _floats(3),
                    "label": tfds.features.ClassLabel(num_classes=6),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i in range(10):
            yield i, {"audio": np.full(3, i, "float32"), "label": 2 + i % 4}
