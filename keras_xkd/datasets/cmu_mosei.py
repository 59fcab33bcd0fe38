import tensorflow_datasets as tfds

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.datasets.sentiment_builder import SentimentBuilder


@keras_xkd_export("keras_xkd.datasets.CMUMOSEI")
class CMUMOSEI(SentimentBuilder):
    """CMU-MOSEI: 23,000 opinions in videos, sentiments between -3 and 3.

    The larger successor of CMU-MOSI: utterances of more than 1,000 speakers on
    250 topics, with what is said and features of voice and face. Read from the
    feature files in which the corpus is passed on among researchers:

    | file                           | from | frames                        |
    |--------------------------------|------|-------------------------------|
    | `aligned_50.pkl`               | MMSA | aligned with the words        |
    | `unaligned_50.pkl`             | MMSA | own rate of each modality     |
    | `mosei_senti_data.pkl`         | MulT | aligned; no raw text          |
    | `mosei_senti_data_noalign.pkl` | MulT | own rate; no raw text         |

    **Folder.** `manual_dir` has one of these files, itself or in `Processed`,
    `MOSEI`, or `MOSEI/Processed`, as in MMSA. They are linked from
    https://github.com/thuiar/MMSA (MMSA) and
    https://github.com/yaohungt/Multimodal-Transformer (MulT). The whole file is
    in memory from when the builder is made until the data is prepared; the
    unaligned one of MMSA has 13 GB.

    **Licence.** The feature files come without a licence. The authors offer the
    corpus for research; the videos belong to those who made them.

    **Splits**, the official ones: train 16,326, validation 1,871 and test 4,659
    in the files of MMSA; 16,265, 1,869 and 4,643 in those of MulT.

    **An example** is that of `keras_xkd.datasets.CMUMOSI`, which also says how
    padding, missing modalities and values that are not finite are treated and
    which choices there are. `"audio"` has 74 features (COVAREP) and `"video"`
    35 (FACET). The six emotions of the corpus are not in these files.

    Args:
        **kwargs: As for `keras_xkd.datasets.CMUMOSI`.

    Example:

    ```python
    builder = keras_xkd.datasets.CMUMOSEI(
        manual_dir="downloads/MOSEI", modalities=("text", "audio", "video")
    )
    builder.download_and_prepare()
    source = builder.as_data_source("validation")
    builder.nonfinite_values["train"]  # The audio features have some -inf.
    ```

    Reference:

    - A. Zadeh, P. P. Liang, S. Poria, E. Cambria, L.-P. Morency, *Multimodal
      Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable Dynamic
      Fusion Graph*, ACL 2018
    """

    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE = "http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset/"
    CITATION = """@inproceedings{zadeh2018multimodal,
  title={Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and
    Interpretable Dynamic Fusion Graph},
  author={Zadeh, AmirAli Bagher and Liang, Paul Pu and Poria, Soujanya and
    Cambria, Erik and Morency, Louis-Philippe},
  booktitle={Proceedings of the 56th Annual Meeting of the Association for
    Computational Linguistics},
  pages={2236--2246},
  year={2018}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get the processed features of MOSEI that "
        "https://github.com/thuiar/MMSA or "
        "https://github.com/yaohungt/Multimodal-Transformer link to"
    )
    FOLDERS = ("Processed", "MOSEI", "MOSEI/Processed")
    FILES = {
        True: ["aligned_50.pkl", "mosei_senti_data.pkl"],
        False: ["unaligned_50.pkl", "mosei_senti_data_noalign.pkl"],
    }
    WIDTHS = {"text_features": 768, "text_bert": 50, "audio": 74, "video": 35}
