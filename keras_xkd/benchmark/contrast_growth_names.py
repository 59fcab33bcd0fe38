"""What `contrast_growth` measures. Imports nothing heavy."""

# These compare all samples of a batch, and the batch grows.
BATCHES = (
    "info_nce",
    "cross_modal_contrast",
    "nt_xent",
    "similarity_distribution",
    "probabilistic_transfer",
    "contrastive_representation",
)
# These compare a batch of `QUEUE_BATCH` samples with a queue, which grows.
QUEUES = ("similarity_distribution_queue", "contrastive_representation_queue")
QUEUE_BATCH = 1024
LOSSES = BATCHES + QUEUES
FORMS = ("plain", "chunks")
