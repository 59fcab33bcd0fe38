"""The scripts of `paired_media.md`, on small copies of the real layouts."""

import json
import pathlib
import re

import numpy as np
import pytest

from keras_xkd import datasets
from tests.datasets import builder_case
from tests.datasets import media_files

GUIDE = pathlib.Path(datasets.__file__).parent / "paired_media.md"


def clip(path):
    media_files.write_video(path, sound=media_files.sine())


def vggsound():
    clip(pathlib.Path("clips/-_0aB_000030.mp4"))
    clip(pathlib.Path("clips/xyz_000000.mp4"))
    pathlib.Path("vggsound.csv").write_text(
        '-_0aB,30,"bird chirping, tweeting",train\n'
        "xyz,0,donkey/ass braying,test\n"
        "gone,110,helicopter,train\n"
    )
    return {"train": 1, "test": 1}, {"video", "audio"}


def kinetics_400():
    for split, youtube in [("train", "a-_1"), ("val", "b"), ("test", "c")]:
        clip(pathlib.Path(f"{split}/{youtube}_000007_000017.mp4"))
        pathlib.Path(f"{split}.csv").write_text(
            "label,youtube_id,time_start,time_end,split\n"
            f"air drumming,{youtube},7,17,{split}\n"
            f"air drumming,gone,7,17,{split}\n"
        )
    return {"train": 1, "val": 1, "test": 1}, {"video", "audio"}


def activitynet():
    clip(pathlib.Path("videos/v_sJFgo9H6zNo.mp4"))
    moments = [
        {"segment": [0.1, 0.5], "label": "Fun sliding down"},
        {"segment": [0.4, 0.9], "label": "Beer pong"},
    ]
    database = {
        "sJFgo9H6zNo": {"subset": "training", "annotations": moments},
        "gone": {"subset": "validation", "annotations": moments},
        "test": {"subset": "testing", "annotations": []},
    }
    pathlib.Path("activity_net.v1-3.min.json").write_text(
        json.dumps({"version": "1.3", "database": database})
    )
    return {"training": 2}, {"video", "audio"}


def iemocap():
    for session in (1, 5):
        name = f"Ses0{session}F_impro01"
        dialog = pathlib.Path(f"Session{session}/dialog")
        for part in ("EmoEvaluation", "transcriptions"):
            (dialog / part).mkdir(parents=True)
        (dialog / "EmoEvaluation" / f"{name}.txt").write_text(
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            f"[0.1000 - 0.5000]\t{name}_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
            "C-E2:\tNeutral;\t()\n\n"
            f"[0.5000 - 0.8000]\t{name}_M000\txxx\t[2.5000, 3.0000, 2.5000]\n"
        )
        (dialog / "transcriptions" / f"{name}.txt").write_text(
            f"{name}_F000 [000.1000-000.5000]: Excuse me.\n"
            f"{name}_M000 [000.5000-000.8000]: Do you have your forms?\n"
        )
        media_files.write_wav(
            dialog / "wav" / f"{name}.wav", media_files.sine(channels=2)
        )
        clip(dialog / "avi" / "DivX" / f"{name}.avi")
    return {"train": 1, "test": 1}, {"video", "audio", "text"}


def modelnet40_views():
    for split, number in [("train", "0001"), ("train", "0002"), ("test", "9")]:
        folder = f"modelnet40_images_new_12x/night_stand/{split}"
        for view in range(12):
            media_files.write_image(
                pathlib.Path(
                    f"{folder}/night_stand_{number}_{view + 1:03d}.png"
                ),
                np.full((8, 8), view, "uint8"),
            )
    views = {f"image_{i + 1}" for i in range(12)}
    return {"train": 2, "test": 1}, views


def sketchy():
    gray = media_files.grays([50], 8, 8)[0]
    folder = pathlib.Path("256x256")
    part = "tx_000000000000/airplane"
    for photo in ("n02691156_10151", "n02691156_10168"):
        media_files.write_image(folder / f"photo/{part}/{photo}.jpg", gray)
        for i in (1, 2):
            path = folder / f"sketch/{part}/{photo}-{i}.png"
            media_files.write_image(path, gray)
    pathlib.Path("info").mkdir()
    pathlib.Path("info/testset.txt").write_text(
        "airplane/n02691156_10168.jpg\n"
    )
    return {"train": 2, "test": 2}, {"photo", "sketch"}


LAYOUTS = {
    "VGGSound": vggsound,
    "Kinetics-400": kinetics_400,
    "ActivityNet": activitynet,
    "IEMOCAP": iemocap,
    "ModelNet40 views": modelnet40_views,
    "Sketchy": sketchy,
}


def test_all_sections_are_tested():
    assert set(re.findall("^## (.*)$", GUIDE.read_text(), re.M)) == set(LAYOUTS)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", LAYOUTS)
def test_script(name, tmp_path, monkeypatch):
    section = GUIDE.read_text().split(f"## {name}\n")[1].split("\n## ")[0]
    [script] = re.findall("```python\n(.*?)```", section, re.S)
    folder = tmp_path / "raw"
    folder.mkdir()
    monkeypatch.chdir(folder)
    counts, modalities = LAYOUTS[name]()
    exec(script, {})

    builder = datasets.PairedMedia(
        manual_dir=folder, data_dir=str(tmp_path), image_size=8, frame_rate=5
    )
    splits = builder_case.prepare(builder)
    assert {k: len(v) for k, v in splits.items()} == counts
    for examples in splits.values():
        for example in examples:
            assert set(example) == modalities | {"label", "name", "present"}
            assert all(example["present"].values())
            assert all(np.size(example[m]) for m in modalities)
    if name == "IEMOCAP":
        assert splits["train"][0]["text"] == "Excuse me."
        assert splits["train"][0]["audio"].shape == (6400,)
    if name == "ActivityNet":
        assert {len(e["video"]) for e in splits["training"]} == {2, 3}
    if name == "ModelNet40 views":
        for example in splits["train"]:
            assert (example["image_3"] == 2).all()
