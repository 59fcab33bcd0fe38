import numpy as np
import pytest

from keras_xkd.datasets import CMUMOSEI
from tests.datasets import sentiment_files as files


@pytest.mark.parametrize(
    "folder, name, aligned",
    [
        ("MOSEI/Processed", "aligned_50.pkl", True),
        ("Processed", "unaligned_50.pkl", False),
        (".", "mosei_senti_data.pkl", True),
        ("MOSEI", "mosei_senti_data_noalign.pkl", False),
    ],
)
def test_files(tmp_path, folder, name, aligned):
    samples = files.make_samples(aligned)
    write = files.write_mmsa if "50" in name else files.write_mult
    write(tmp_path / "raw" / folder / name, samples, aligned)
    builder = CMUMOSEI(
        manual_dir=tmp_path / "raw", data_dir=tmp_path, aligned=aligned
    )
    builder.download_and_prepare()
    assert ("text" in builder.info.features) == ("50" in name)
    for split, expected in samples.items():
        got = {
            example["name"].decode().split("|")[0]: example
            for example in builder.as_data_source(split)
        }
        assert set(got) == {sample["name"] for sample in expected}
        for sample in expected:
            example = got[sample["name"]]
            assert example["label"] == np.float32(sample["label"])
            for modality in files.WIDTHS:
                np.testing.assert_array_equal(
                    example[modality], sample[modality].astype("float32")
                )


def test_usual_widths(tmp_path):
    features = CMUMOSEI(data_dir=tmp_path).info.features
    assert features["audio"].shape == (None, 74)
    assert features["video"].shape == (None, 35)
    assert features["text_features"].shape == (None, 768)
