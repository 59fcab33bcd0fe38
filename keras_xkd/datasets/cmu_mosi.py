import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.sentiment_builder import SentimentBuilder


@keras_xkd_export("keras_xkd.datasets.CMUMOSI")
class CMUMOSI(SentimentBuilder):
    """CMU-MOSI: opinions in videos, with a sentiment between -3 and 3.

    2,199 utterances from 93 videos in which one person reviews a film:
    what is said, and features of voice and face. Read from the feature files
    in which the corpus is passed on among researchers:

    | file                    | from | frames                               |
    |-------------------------|------|--------------------------------------|
    | `aligned_50.pkl`        | MMSA | aligned with the words               |
    | `unaligned_50.pkl`      | MMSA | own rate of each modality            |
    | `mosi_data.pkl`         | MulT | aligned; no raw text, no BERT tokens |
    | `mosi_data_noalign.pkl` | MulT | own rate; no raw text, no tokens     |

    Pickles are programs; these are read without executing anything, and a file
    with other than plain values is refused. The computational sequences of the
    CMU Multimodal SDK (`.csd`, HDF5) are not read: the files above were made
    of them.

    **Folder.** `manual_dir` has one of these files, itself or in `Processed`,
    `MOSI`, or `MOSI/Processed`, as in MMSA. They are linked from
    https://github.com/thuiar/MMSA (MMSA) and
    https://github.com/yaohungt/Multimodal-Transformer (MulT).

    **Licence.** The feature files come without a licence. The authors offer the
    corpus for research; the videos belong to those who made them.

    **Splits**, the official ones: train 1,284, validation 229 and test 686.

    **An example** has, as far as the file does:

    - `"text"`: what is said.
    - `"text_features"`: float32 `(frames, 768)` from BERT, or 300, GloVe.
    - `"text_bert"`: int32 `(3, 50)`: token ids of `bert-base-uncased`, mask,
      segments.
    - `"audio"`: float32 `(frames, 5)`, COVAREP.
    - `"video"`: float32 `(frames, 20)`, FACET.
    - `"label"`: float32, the mean of five opinions, -3 (negative) to 3.
      Seven classes are `round(label) + 3`; two are `label > 0`, mostly without
      the neutral ones, or `label >= 0`.
    - `"name"`: the file's identifier, `"<video>$_$<clip>"` or
      `"<clip>|<start>|<end>"`.
    - `"present"`: whether the sample has the modality. One that could not be
      extracted, which the file fills with zeros, is empty.

    Frames are those that are not padding: as many as the file states
    (`audio_lengths`, `vision_lengths`, the mask of `text_bert`), else all but
    the frames of zeros at the start and at the end. In aligned files the
    modalities of a sample have the same number, unless one is absent, and
    frames with the same index belong together. Widths are those of the file.

    Args:
        aligned: Whether to read the aligned file.
        modalities: Which modalities to keep, for example
            `("text", "audio")`. By default all that the file has.
        nonfinite: What to do with infinite values and NaN, of which there are
            some in the audio features: `"zero"` makes them 0, as is usual,
            `"keep"` keeps them and `"raise"` treats the modality of that sample
            as a damaged file. `builder.nonfinite_values` says how many there
            were.
        file: Name of the file, if it is another one of this format.
        **kwargs: As for `keras_xkd.datasets.MultimodalBuilder`: `manual_dir`,
            `data_dir`, `on_error` and so on. Give `manual_dir` here rather than
            to `download_and_prepare`: what an example has is settled when the
            builder is made, and without the folder the widths above are
            assumed.

    Raises:
        DataFileError: When the data is prepared: no such file, a damaged one,
            one that lacks a modality or whose arrays do not fit together. The
            message names the file, the key and the row.

    Example:

    ```python
    builder = keras_xkd.datasets.CMUMOSI(
        manual_dir="downloads/MOSI", aligned=False
    )
    builder.download_and_prepare()
    source = builder.as_data_source("train")
    source[0]["text"], source[0]["audio"].shape, source[0]["label"]
    ```

    Reference:

    - A. Zadeh, R. Zellers, E. Pincus, L.-P. Morency, *MOSI: Multimodal Corpus
      of Sentiment Intensity and Subjectivity Analysis in Online Opinion
      Videos*, 2016, arXiv:1606.06259
    """

    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/"
    CITATION = """@article{zadeh2016mosi,
  title={{MOSI}: Multimodal Corpus of Sentiment Intensity and Subjectivity
    Analysis in Online Opinion Videos},
  author={Zadeh, Amir and Zellers, Rowan and Pincus, Eli and
    Morency, Louis-Philippe},
  journal={arXiv preprint arXiv:1606.06259},
  year={2016}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get the processed features of MOSI that "
        "https://github.com/thuiar/MMSA or "
        "https://github.com/yaohungt/Multimodal-Transformer link to"
    )
    FOLDERS = ("Processed", "MOSI", "MOSI/Processed")
    FILES = {
        True: ["aligned_50.pkl", "mosi_data.pkl"],
        False: ["unaligned_50.pkl", "mosi_data_noalign.pkl"],
    }
    WIDTHS = {"text_features": 768, "text_bert": 50, "audio": 5, "video": 20}
