import numpy as np

from keras_xkd.api_export import keras_xkd_export
from keras_xkd.distillers.late_fusion_choice import LateFusionChoice
from keras_xkd.distillers.ume import UME
from keras_xkd.typing import Dataset, Networks
from keras_xkd.utils.linear_probe import linear_probe
from keras_xkd.utils.outputs import Outputs
from keras_xkd.utils.split_outputs import check_labels
from keras_xkd.utils.split_outputs import check_two_logits
from keras_xkd.utils.split_outputs import run_split
from keras_xkd.utils.symbolic import check_networks


@keras_xkd_export("keras_xkd.distillers.choose_late_fusion")
def choose_late_fusion(
    *,
    models: Networks,
    train: Dataset,
    validation: Dataset,
    batch_size: int = 256,
    seed: int = 0,
) -> LateFusionChoice:
    """Says whether UMT or UME suits a task, from trained uni-modal models.

    Two accuracies on the validation data are compared:

    - A, of `UME`: the average of the models' probabilities.
    - B, of a linear classifier on the features of all models, fitted to the
      training data. It sees what only several modalities together tell.

    The paper's rule is `B > A`: UMT, else UME. As the models are fixed and
    the probe is convex, seeds say nothing; a paired bootstrap over the
    validation samples says how sure that is. Our choice is UMT only if the
    interval of B - A lies above 0: UME costs no training.

    Nothing but the probe is fitted, and every model runs once for each split.
    The probe is scikit-learn's `LogisticRegression` on standardised features
    (the extra `viz`).

    Example:

    ```python
    result = choose_late_fusion(
        models={"audio": audio_network, "video": video_network},
        train=(x_train, y_train),
        validation=(x_val, y_val),
    )
    print(result)
    model = result.build(student)  # A UME, or a UMT to train.
    ```

    Args:
        models: A dict `{modality: classifier}` of two or more, trained each
            by itself, with logits and features, as for `UME` and `UMT`.
        train: `(x, y)`, or an iterable of such batches. `y` holds class
            indices, or one row per sample with a 1.
        validation: The same, of samples that no model was trained on.
            Samples without all modalities (`x["present"]`) are left out.
        batch_size: For arrays.
        seed: Seed of the bootstrap.

    Returns:
        A result that prints itself: `choice`, which can be set; `ensemble`
        (A) and `probe` (B) with `ensemble_spread` and `probe_spread`, their
        standard errors; `interval` of B - A, 95 %; `rule`, what the paper's
        rule says; `unimodal`, the accuracy of each model; `samples`;
        `build(student)`, the `UME`, or the `UMT` of a `LateFusion`.

    Raises:
        ValueError: If there are fewer than two models, if the data is not
            `(x, y)` with one label for each sample, if the labels are not
            classes of the models or all the same, or if the logits or the
            features of a model cannot be found or are not finite.

    Reference:

    - [Du et al., 2023](https://arxiv.org/abs/2305.01233)
    """
    check_networks("models", models, at_least=2)
    readout = Outputs()
    for name, model in models.items():
        shape = readout.shape(model, "logits")
        check_two_logits(name, shape and shape[-1])
        readout.require(model, "features")
    models = dict(UME(models=models).models)  # Checked, and sorted.
    data = {"train": train, "validation": validation}
    found, labels = {}, {}
    for split in data:
        outputs, y = run_split(split, readout, models, data[split], batch_size)
        classes = next(iter(outputs.values()))["logits"].shape[-1]
        labels[split] = check_labels(split, y, classes)
        found[split] = outputs
    features = {
        split: np.concatenate([o["features"] for o in own.values()], axis=1)
        for split, own in found.items()
    }
    y = labels["validation"]
    predicted = linear_probe(
        features["train"], labels["train"], features["validation"]
    )
    votes = {n: _softmax(o["logits"]) for n, o in found["validation"].items()}
    return LateFusionChoice(
        models,
        ensemble=sum(votes.values()).argmax(-1) == y,
        probe=predicted == y,
        unimodal={
            n: float(np.mean(p.argmax(-1) == y)) for n, p in votes.items()
        },
        seed=seed,
    )


def _softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)
