"""Where random layers go on, so that a loaded model draws what is next."""


def random_states(model):
    """The states of all random generators of a model, which Keras leaves out.

    Args:
        model: A Keras model.

    Returns:
        A dict of variables by a name to save them under.
    """
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    return {f"random_state_{i}": state for i, state in enumerate(states)}
