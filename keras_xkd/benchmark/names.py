"""Names that the command line shows, without importing Keras."""

BACKENDS = ("jax", "tensorflow", "torch")
METHODS = ("kd", "features", "cmd", "cmc", "amid", "umt", "mke")
SIZES = ("mlp", "conv", "transformer")


def check_known(kind, given, known):
    """Stops a command that was given names which do not exist."""
    unknown = set(given or ()) - set(known)
    if unknown:
        raise SystemExit(
            f"There are the {kind} {', '.join(known)}. "
            f"Received: {', '.join(sorted(unknown))}"
        )
