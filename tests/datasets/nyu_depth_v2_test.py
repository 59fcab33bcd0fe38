import h5py
import numpy as np
import pytest
from PIL import Image
from tensorflow_datasets.datasets.nyu_depth_v2 import (
    nyu_depth_v2_dataset_builder,
)

from keras_xkd.datasets import DataFileError
from keras_xkd.datasets import NYUDepthV2

FRAMES = {
    "train": [
        "basement_0001a/00001",
        "basement_0001a/00006",
        "cafe_0002/00001",
    ],
    "val": ["official/00001", "official/00009"],
}
SIZE = (6, 8)


def write(folder, size=SIZE):
    """Files as *FastDepth* distributes them; returns their content."""
    rng = np.random.default_rng(0)
    content = {}
    for split, frames in FRAMES.items():
        for frame in frames:
            path = folder / "raw" / "nyudepthv2" / split / f"{frame}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            rgb = rng.integers(0, 256, size=(3, *size), dtype="uint8")
            depth = rng.uniform(0, 10, size=size).astype("float32")
            with h5py.File(path, "w") as file:
                file["rgb"], file["depth"] = rgb, depth
            content[split, frame.replace("/", "_") + ".h5"] = rgb, depth
    return content


def prepare(folder, **kwargs):
    kwargs = {"manual_dir": folder / "raw"} | kwargs
    builder = NYUDepthV2(data_dir=folder / "prepared", **kwargs)
    builder.download_and_prepare()
    return builder


def read(builder, split):
    source = builder.as_data_source(split)
    return {example["name"].decode(): example for example in source}


def test_values(tmp_path):
    content = write(tmp_path)
    builder = prepare(tmp_path)
    assert {*builder.info.splits} == {"train", "validation"}
    got = {"train": read(builder, "train"), "val": read(builder, "validation")}
    assert {(s, name) for s in got for name in got[s]} == {*content}
    for (split, name), (rgb, depth) in content.items():
        example = got[split][name]
        assert example["image"].dtype == np.uint8
        assert example["depth"].dtype == np.float32
        np.testing.assert_array_equal(example["image"], rgb.transpose(1, 2, 0))
        np.testing.assert_array_equal(example["depth"], depth[..., None])


def test_examples_of_tensorflow_datasets(tmp_path):
    write(tmp_path, (480, 640))
    folder = tmp_path / "raw" / "nyudepthv2"
    theirs = nyu_depth_v2_dataset_builder.Builder(data_dir=tmp_path)
    ours = prepare(tmp_path)
    for split, name in (("train", "train"), ("validation", "val")):
        got = read(ours, split)
        expected = dict(theirs._generate_examples(str(folder / name)))
        assert set(got) == set(expected)
        for key, example in expected.items():
            np.testing.assert_array_equal(got[key]["image"], example["image"])
            depth = got[key]["depth"][..., 0].astype("float16")
            np.testing.assert_array_equal(depth, example["depth"])


def test_scales(tmp_path):
    content = write(tmp_path)
    builder = prepare(tmp_path, size=(3, 4))
    for name, example in read(builder, "validation").items():
        rgb, depth = content["val", name]
        image = Image.fromarray(rgb.transpose(1, 2, 0))
        image = image.resize((4, 3), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(example["image"], np.asarray(image))
        # The pixel on which the middle of a new one lies.
        np.testing.assert_array_equal(
            example["depth"][..., 0], depth[1::2, 1::2]
        )
    assert prepare(tmp_path, size=5).info.features["image"].shape == (5, 5, 3)


def test_folders(tmp_path):
    write(tmp_path)
    builder = prepare(tmp_path, manual_dir=tmp_path / "raw" / "nyudepthv2")
    assert len(builder.as_data_source("train")) == 3
    # Prepared data knows its size.
    builder = NYUDepthV2(data_dir=tmp_path / "prepared")
    assert builder.info.features["depth"].shape == (*SIZE, 1)
    assert builder.name != nyu_depth_v2_dataset_builder.Builder.name
    other = NYUDepthV2(data_dir=tmp_path / "other")
    assert other.info.features["image"].shape == (480, 640, 3)


def test_damaged_file(tmp_path):
    write(tmp_path)
    path = tmp_path / "raw/nyudepthv2/train/basement_0001a/00001.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataFileError, match="00001.h5: .*damaged"):
        prepare(tmp_path)
    with pytest.warns(UserWarning, match="00001.h5"):
        builder = prepare(tmp_path, on_error="skip")
    assert sorted(read(builder, "train")) == [
        "basement_0001a_00006.h5",
        "cafe_0002_00001.h5",
    ]
    assert {problem["file"] for problem in builder.left_out} == {str(path)}


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("rgb", np.zeros((6, 8, 3), "uint8"), r"\(3, height, width\)"),
        ("rgb", np.zeros((3, 6, 8), "float32"), "must be uint8"),
        ("depth", np.zeros((1, 6, 8), "float32"), r"\(height, width\)"),
        ("depth", np.full((6, 8), np.inf, "float32"), "not finite"),
        ("depth", np.zeros((7, 8), "float32"), r"\(7, 8\) pixels"),
        ("depth", None, "no array 'depth'"),
    ],
)
def test_defects(tmp_path, key, value, message):
    write(tmp_path)
    path = tmp_path / "raw/nyudepthv2/val/official/00009.h5"
    with h5py.File(path, "r+") as file:
        del file[key]
        if value is not None:
            file[key] = value
    with pytest.raises(DataFileError, match=message) as info:
        prepare(tmp_path)
    assert info.value.path == str(path)


def test_missing_folder(tmp_path):
    write(tmp_path)
    for path in (tmp_path / "raw/nyudepthv2/val/official").iterdir():
        path.unlink()
    with pytest.raises(DataFileError, match="val: there is no .*Download"):
        prepare(tmp_path)
