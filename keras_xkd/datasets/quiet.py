import contextlib
import logging
import threading

# A configuration made of choices is no mistake here, nor is the folder, still
# empty, that data is about to be written to.
EXPECTED = (
    "Using custom data configuration: %s",
    "Variant folder %s has no %s",
)


@contextlib.contextmanager
def without_expected_messages():
    """Leaves out what tensorflow-datasets logs about builders of ours.

    Only these messages, and only those of the thread that asks for it.
    """
    logger, thread = logging.getLogger("absl"), threading.get_ident()

    def wanted(record):
        return record.thread != thread or record.msg not in EXPECTED

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
