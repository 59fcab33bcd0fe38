"""Pictures: of a training, of features, of students. They need matplotlib."""

import sys

# `python -m keras_xkd benchmark backends` draws without Keras, by the canvas
# alone. Whoever imports `keras_xkd` has Keras by now.
if "keras" in sys.modules:
    from keras_xkd.visualization.grad_cam import grad_cam
    from keras_xkd.visualization.plot_attention import plot_attention
    from keras_xkd.visualization.plot_comparison import plot_comparison
    from keras_xkd.visualization.plot_confusion import plot_confusion
    from keras_xkd.visualization.plot_embeddings import plot_embeddings
    from keras_xkd.visualization.plot_missing_modalities import (
        plot_missing_modalities,
    )
    from keras_xkd.visualization.plot_retrieval import plot_retrieval
    from keras_xkd.visualization.plot_similarity import plot_similarity
    from keras_xkd.visualization.plot_terms import plot_terms
    from keras_xkd.visualization.saliency import saliency

__all__ = [
    "grad_cam",
    "plot_attention",
    "plot_comparison",
    "plot_confusion",
    "plot_embeddings",
    "plot_missing_modalities",
    "plot_retrieval",
    "plot_similarity",
    "plot_terms",
    "saliency",
]
