"""
Title: Encoders from keras-hub
Author: The keras_xkd contributors
Date created: 2026/11/21
Last modified: 2026/11/21
Description: Pretrained backbones as teachers and students, frozen or by LoRA.
Accelerator: None
"""

"""
## Introduction

Teachers are often large pretrained networks: a vision transformer, a text
encoder, a speech encoder. keras-hub has them for all backends. `image_encoder`,
`text_encoder`, `audio_encoder` and `video_encoder` make encoders of them that
fit into every method of this package. An encoder

- reads one modality by name: `{"image": pixels}`,
  `{"text": {"token_ids": ids, "padding_mask": mask}}`;
- returns `{"features": (batch, width), "tokens": (batch, tokens, width)}`;
- brings the preprocessing that belongs to it;
- learns as a whole, in its last blocks, by LoRA, or not at all.

This guide works offline: its backbones are tiny and have random weights, so
that they know nothing before they are trained here. In practice you write the
name of a preset instead, and the rest stays the same:

```python
teacher = keras_xkd.models.image_encoder("vit_base_patch16_224_imagenet")
student = keras_xkd.models.audio_encoder("whisper_tiny_en", trainable=2)
```
"""

"""
## Setup
"""

"""shell
pip install -q "keras-xkd[jax,hub]"
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", "torch"

import pathlib

import keras
import keras_hub
import numpy as np
from keras import layers

import keras_xkd as xkd

output = pathlib.Path(os.environ.get("OUTPUT", "."))
keras.utils.set_random_seed(0)
small = dict(num_layers=2, num_heads=2, hidden_dim=32)


def shapes(outputs):
    return {name: tuple(outputs[name].shape) for name in sorted(outputs)}


def learns(model):
    """Numbers that learn, of all."""
    count = sum(np.prod(w.shape) for w in model.trainable_weights)
    return f"{count:,} of {model.count_params():,}"


"""
## An image encoder

A vision transformer for images of 8 x 8 pixels. `pooling` makes features of
its tokens: the class token (`"cls"`), or the mean, the maximum or a learned
attention over the patches.
"""

vit = keras_hub.models.ViTBackbone(
    image_shape=(8, 8, 3), patch_size=2, mlp_dim=64, **small
)
image_encoder = xkd.models.image_encoder(vit, pooling="mean")
print(shapes(image_encoder({"image": np.zeros((4, 8, 8, 3))})))

"""
The seventeen tokens are sixteen patches and the class token.

Raw data goes through `preprocess`: images of any size from 0 to 255, with one
channel or three. With a preset it is that of the preset. Other entries of a
batch come back as they are, so that several encoders can preprocess the same
batch one after the other, or in `keras_xkd.data.load(preprocess=[...])`.
"""

photos = np.random.default_rng(0).integers(0, 256, (4, 60, 40, 1), "uint8")
batch = image_encoder.preprocess({"image": photos, "audio": np.zeros(4)})
print(batch["image"].shape, batch["image"].max() <= 1, sorted(batch))

"""
## A text encoder

A tokenizer and its vocabulary belong to a preset. Here both are made by hand,
and saved as a preset in a folder: a path is as good as a name.
"""

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "barks"]
bert = keras_hub.models.BertBackbone(
    vocabulary_size=len(words),
    intermediate_dim=64,
    max_sequence_length=16,
    **small,
)
folder = output / "tiny_bert"
bert.save_to_preset(folder)
keras_hub.models.BertTokenizer(words).save_to_preset(folder)

text_encoder = xkd.models.text_encoder(str(folder))
batch = text_encoder.preprocess({"text": ["a dog barks", "a dog"]})
print(batch["text"]["token_ids"][:, :6].tolist())
print(shapes(text_encoder(batch)))

"""
What is padded never changes the features:
"""

short = text_encoder.preprocess({"text": ["a dog"]}, sequence_length=6)
np.testing.assert_allclose(
    keras.ops.convert_to_numpy(text_encoder(batch)["features"])[1],
    keras.ops.convert_to_numpy(text_encoder(short)["features"])[0],
    atol=1e-4,
)

"""
## What learns

| Argument | What learns |
|---|---|
| `trainable="all"`, the default | everything |
| `trainable=2` | the last two blocks, and what comes after |
| `trainable="none"` | nothing of the backbone |
| `lora_rank=4` | two narrow matrices beside each kernel; all else is frozen |

Pooling with attention, a projection and a head always learn. A teacher of a
distiller needs none of this: it is frozen anyway.
"""

options = {
    "all": {},
    "the last block": {"trainable": 1},
    "by LoRA": {"lora_rank": 2},
    "LoRA in the last block": {"trainable": 1, "lora_rank": 2},
    "nothing": {"trainable": "none"},
}
for name, arguments in options.items():
    encoder = xkd.models.text_encoder(str(folder), **arguments)
    print(f"{name:24} {learns(encoder)}")

"""
A backbone that you pass as an object becomes part of the encoder: freezing
changes the one that you passed. Load it again for a second encoder, as above.

## A teacher that sees, a student that listens

Now both are trained on `av_digits`, images of digits with spoken digits. The
teacher is the vision transformer with a head. Networks that return their
features beside the logits let a loss compare these.
"""

(x, y), (x_val, y_val), _ = xkd.datasets.av_digits.load_data()


def pixels(x):
    return image_encoder.preprocess({"image": x["image"] * 255})["image"]


x, x_val = [
    {"image": pixels(part), "audio": part["audio"]} for part in (x, x_val)
]


def classifier(encoder):
    features = encoder.output["features"]
    return keras.Model(encoder.input, layers.Dense(10)(features))


teacher = classifier(image_encoder)
teacher.compile(
    keras.optimizers.Adam(3e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
teacher.fit({"image": x["image"]}, y, batch_size=60, epochs=6, verbose=0)
_, accuracy = teacher.evaluate({"image": x_val["image"]}, y_val, verbose=0)
print(f"teacher: {accuracy:.3f}")

"""
The student is the encoder of a tiny Whisper, which reads log-mel spectrograms.
Of a backbone with a decoder only the encoder is kept. (For raw sound there is
`front_end=keras_xkd.layers.LogMel()`.)
"""

whisper = keras_hub.models.WhisperBackbone(
    vocabulary_size=20,
    intermediate_dim=64,
    num_mels=32,
    max_encoder_sequence_length=40,
    max_decoder_sequence_length=6,
    **small,
)
audio_encoder = xkd.models.audio_encoder(whisper)
print(f"Whisper {whisper.count_params():,}, its encoder", learns(audio_encoder))

"""
Soft targets teach the decisions, `FeatureMatching` the features. Both read the
same forward pass of each network: the features are found before the head, and
a projection is added where widths differ.
"""

student = classifier(audio_encoder)
distiller = xkd.distillers.CrossModalDistiller(student=student, teacher=teacher)
distiller.compile(
    keras.optimizers.Adam(3e-3),
    distillation_loss={
        "kd": xkd.losses.SoftTargets(),
        "features": xkd.losses.FeatureMatching(),
    },
    loss_weights={"kd": 0.9, "features": 0.1},
    metrics=["accuracy"],
)
history = distiller.fit(
    x,
    batch_size=60,
    epochs=8,
    validation_data=({"audio": x_val["audio"]}, y_val),
    verbose=0,
).history
print(f"student, without labels: {history['val_accuracy'][-1]:.3f}")
assert history["val_accuracy"][-1] > 0.3

"""
## Features from the middle

`keras_xkd.models.tap` adds the output of any layer of a Functional model, such
as that of the first block of BERT. Backbones of keras-hub are Functional; their
layers have names.
"""

tapped = xkd.models.tap(bert, {"early": "transformer_layer_0"})
reads = {**batch["text"], "segment_ids": np.zeros((2, 16), "int32")}
print(shapes(tapped(reads)))

"""
## Saving

A student with an encoder is saved like any model. Import `keras_xkd` where you
load it.
"""

student.save(output / "student.keras")
again = keras.models.load_model(output / "student.keras")
np.testing.assert_allclose(
    again.predict({"audio": x_val["audio"][:4]}, verbose=0),
    student.predict({"audio": x_val["audio"][:4]}, verbose=0),
    atol=1e-4,
)

"""
## What was tried

| Modality | Backbones, tiny and with random weights |
|---|---|
| image | ViT, DINOv2, ResNet, CLIP vision on three backends; DeiT, DINOv3, SigLIP vision, MobileNet, EfficientNet on PyTorch |
| text | BERT, RoBERTa, CLIP text on three backends; DistilBERT, SigLIP text on PyTorch |
| audio | Whisper and Moonshine, encoder only, on three backends |
| video | VideoPrism, and image backbones over frames, on three backends |

Presets in folders of keras-hub and of Hugging Face were loaded, and one real
model, MiniLM. Presets by name have not been tried yet.

## Where to read on

- `guides/data_and_loaders.py`: preprocessing in loaders, and teachers that run
  once.
- `guides/deploying_the_student.py`: which encoders can be exported where.
- `keras_xkd.models.Encoder`: which output of a backbone becomes tokens, class
  tokens and masks.
"""
