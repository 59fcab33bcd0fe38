import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.media_config import MediaConfig
from keras_xkd.datasets.multimodal_builder import MultimodalBuilder

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
)
STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
CHANNELS = {"01": "speech", "02": "song"}
# Modality, channel, emotion, intensity, statement, repetition, actor.
NAME = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<emotion>0[1-8])-"
    r"(?P<intensity>0[12])-(?P<statement>0[12])-(?P<repetition>0[12])-"
    r"(?P<actor>0[1-9]|1\d|2[0-4])"
)


@dataclasses.dataclass(kw_only=True)
class RAVDESSConfig(MediaConfig):
    channel: str = "speech"
    validation_actors: tuple = (19, 20)
    test_actors: tuple = (21, 22, 23, 24)

    def __post_init__(self):
        if self.channel not in ("speech", "song", "both"):
            raise ValueError(
                "`channel` must be 'speech', 'song' or 'both'. Received: "
                f"channel={self.channel!r}"
            )
        held_out = [*self.validation_actors, *self.test_actors]
        if len(set(held_out)) < len(held_out) or set(held_out) - set(
            range(1, 25)
        ):
            raise ValueError(
                "`validation_actors` and `test_actors` must be different "
                f"actors from 1 to 24. Received: {self.validation_actors}, "
                f"{self.test_actors}"
            )
        super().__post_init__()


@keras_xkd_export("keras_xkd.datasets.RAVDESS")
class RAVDESS(MultimodalBuilder):
    """Actors speak or sing a sentence in eight emotions: video, sound, text.

    The Ryerson Audio-Visual Database of Emotional Speech and Song: 24 actors,
    two sentences, in speech 1,440 takes, in song 1,012 (in six emotions, and
    without actor 18).

    Get it from https://zenodo.org/records/1188976: `Video_Speech_Actor_01.zip`
    to `..._24.zip` and `Audio_Speech_Actors_01-24.zip`, and the same with
    `Song`. Unpack them into one folder, each alone or all together; files are
    found by their names, wherever they are:

    ```
    <manual_dir>/Actor_01/01-01-01-01-01-01-01.mp4    video with sound
                          02-01-01-01-01-01-01.mp4    video alone
                          03-01-01-01-01-01-01.wav    sound alone
    ```

    Licence: CC BY-NC-SA 4.0, not for commercial use without asking.

    An example is one take: `video`, from the file with sound, else from that
    without; `audio`, from the wav, else from the video; `text`, the sentence;
    `label`, the emotion; `intensity`, `actor`, `channel`; `name`, the code of
    the take; `present`, whether it has video and audio.

    The authors give no splits. Those here are this package's choice: no actor
    is in two of them, and each has as many women as men.

    Args:
        channel: `"speech"`, `"song"` or `"both"`.
        validation_actors: Actors of the split `validation`, as a tuple.
        test_actors: Actors of the split `test`; all others are in `train`.
        frame_rate: Video frames per second. Defaults to 4.
        image_size: Height and width of a frame, or a number for both. Defaults
            to 112.
        sample_rate: Samples of sound per second. Defaults to 16,000.
        max_seconds: How much of a take is read; None, the default, for all.
        **kwargs: Arguments of `keras_xkd.datasets.MultimodalBuilder`:
            `manual_dir`, `on_error`, `data_dir`...

    Example:

    ```python
    builder = keras_xkd.datasets.RAVDESS(manual_dir="downloads/ravdess")
    builder.download_and_prepare()
    train = builder.as_data_source("train")
    train[0]["video"]  # a list of frames (112, 112, 3)
    ```
    """

    HOMEPAGE = "https://zenodo.org/records/1188976"
    CITATION = """@article{livingstone2018ravdess,
  title={The {R}yerson Audio-Visual Database of Emotional Speech and Song
         ({RAVDESS}): A dynamic, multimodal set of facial and vocal expressions
         in {N}orth {A}merican {E}nglish},
  author={Livingstone, Steven R. and Russo, Frank A.},
  journal={PLOS ONE},
  volume={13},
  number={5},
  pages={e0196391},
  year={2018}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Download the zip files of https://zenodo.org/records/1188976 and "
        "unpack them: Actor_01/01-01-01-01-01-01-01.mp4 and so on."
    )
    BUILDER_CONFIGS = [RAVDESSConfig()]

    def features(self) -> tfds.features.FeatureConnector:
        feature = self.builder_config.feature
        label = tfds.features.ClassLabel
        return tfds.features.FeaturesDict(
            {
                "video": feature("video"),
                "audio": feature("audio"),
                "text": feature("text"),
                "label": label(names=EMOTIONS),
                "intensity": label(names=["normal", "strong"]),
                "channel": label(names=["speech", "song"]),
                "actor": tfds.features.Scalar(dtype=np.int64),
                "name": tfds.features.Text(),
                "present": {
                    "video": tfds.features.Scalar(dtype=np.bool_),
                    "audio": tfds.features.Scalar(dtype=np.bool_),
                },
            }
        )

    def samples(self, folder: pathlib.Path) -> dict[str, Iterable[Any]]:
        config = self.builder_config
        splits: dict[str, Any] = {"train": [], "validation": [], "test": []}
        for take, files in sorted(self._takes(folder).items()):
            match = NAME.fullmatch(f"01-{take}")
            assert match, "What `_takes` gives has this form."
            code = match.groupdict()
            actor = int(code["actor"])
            channel = CHANNELS[code["channel"]]
            if config.channel not in (channel, "both"):
                continue
            video = files.get("01", files.get("02"))
            audio = files.get("03", files.get("01"))
            example = {
                "video": video and config.reader("video", video),
                "audio": audio and config.reader("audio", audio),
                "text": STATEMENTS[int(code["statement"]) - 1],
                "label": EMOTIONS[int(code["emotion"]) - 1],
                "intensity": int(code["intensity"]) - 1,
                "channel": channel,
                "actor": actor,
                "name": take,
            }
            split = "train"
            if actor in config.validation_actors:
                split = "validation"
            elif actor in config.test_actors:
                split = "test"
            splits[split].append((take, example))
        return {split: rows for split, rows in splits.items() if rows}

    def _takes(self, folder):
        """`{take: {modality code: path}}`; a take is a name without it."""
        takes = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in (".mp4", ".wav"):
                continue
            if path.name.startswith("."):  # The zip files hold some of macOS.
                continue
            if not NAME.fullmatch(path.stem):
                raise ValueError(
                    "The name of a file must be a code such as "
                    f"01-01-06-01-02-01-12. Received: {path}"
                )
            takes.setdefault(path.stem[3:], {})[path.stem[:2]] = path
        if not takes:
            raise FileNotFoundError(
                f"There is no mp4 or wav file in {folder}. "
                + self.MANUAL_DOWNLOAD_INSTRUCTIONS
            )
        return takes
