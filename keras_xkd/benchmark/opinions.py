"""Synthetic opinions: a video, a text and a sentiment, for `video-adviser`.

The sentiment is `s = clip(1.5 e, -3, 3)`; here and below every `e` is another
standard Gaussian.

- Video: what the speaker feels, by colour. The red of frame f is
  `0.5 + 0.15 s g_f`, its green 0.5 and its blue `0.5 - 0.15 s g_f`, to which
  come `0.1 e` for the whole frame and `0.3 e` for every pixel and colour. The
  strength `g_f` is uniform in (0, 1): some frames tell little.
- Text: what the speaker says, which is only near it: `t = s + 0.7 e`. Every
  word of the vocabulary has a valence `1.5 e`; the words of a sample are drawn
  independently, with probabilities proportional to `exp(-(valence - t)^2 / 2)`.
- Label: what an annotator writes down, `clip(s + 0.7 e, -3, 3)`.

So the video has what the text lacks, and by one simple sign, which a few noisy
labels are enough to learn. The signs of the text are as many as there are
words, and a few labelled texts do not contain them all.
"""

import numpy as np

FRAMES, SIZE = 4, 16
WORDS, LENGTH = 400, 8


def load(samples, seed):
    """Draws samples.

    Args:
        samples: A dict `{part: number}`; the words are the same in all parts.
        seed: Seed of the words and of the samples.

    Returns:
        A dict `{part: (x, noisy labels, sentiments)}`; `x` has a `"video"`
        `(N, 4, 16, 16, 3)` and a `"text"`, a dict of token ids and a mask.
    """
    rng = np.random.default_rng(seed)
    valence = 1.5 * rng.standard_normal(WORDS)
    return {part: _draw(n, valence, rng) for part, n in samples.items()}


def _draw(samples, valence, rng):
    sentiment = np.clip(1.5 * rng.standard_normal(samples), -3, 3)
    noisy = np.clip(sentiment + 0.7 * rng.standard_normal(samples), -3, 3)
    x = {
        "video": _film(sentiment, rng),
        "text": _write(sentiment, valence, rng),
    }
    return x, noisy.astype("float32"), sentiment.astype("float32")


def _film(sentiment, rng):
    shape = (len(sentiment), FRAMES, SIZE, SIZE, 3)
    strength = rng.uniform(size=shape[:2])
    shade = 0.15 * sentiment[:, None] * strength
    colour = shade[..., None] * np.array([1, 0, -1])
    brightness = 0.1 * rng.standard_normal(shape[:2])
    frames = 0.5 + colour + brightness[..., None]
    frames = frames[:, :, None, None] + 0.3 * rng.standard_normal(shape)
    return frames.astype("float32")


def _write(sentiment, valence, rng):
    said = sentiment + 0.7 * rng.standard_normal(len(sentiment))
    score = -((valence - said[:, None]) ** 2) / 2
    # The largest of the scores plus Gumbel noise is a draw of the softmax.
    noise = rng.gumbel(size=(len(said), LENGTH, WORDS))
    words = np.argmax(score[:, None] + noise, axis=-1)
    return {
        "token_ids": words.astype("int32"),
        "padding_mask": np.ones(words.shape, "int32"),
    }
