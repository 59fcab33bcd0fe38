"""Networks by role and by name."""

import keras


def check_roles(roles, model):
    """Raises unless the names of roles are those that the class speaks of.

    Args:
        roles: A dict `{role: networks}`, None for a role that is left out.
        model: The class, whose attribute `frozen` names roles. What it
            inherits may name more.
    """
    frozen = vars(model).get("frozen", ())
    if isinstance(frozen, property):  # It depends on what is to come.
        frozen = ()
    unknown = [role for role in frozen if role not in roles]
    if unknown:
        raise ValueError(
            f"`frozen` of {model.__name__} names the roles {unknown}, but it "
            f"has {sorted(roles)}."
        )
    taken = [r for r in roles if getattr(model, r, None) is not None]
    if taken:
        raise ValueError(
            f"Call these roles otherwise: {model.__name__} has methods or "
            f"attributes of their names. Received: {taken}"
        )


def name_networks(roles):
    """The networks under one name each; checks that they are usable."""
    named = {}
    for role, networks in roles.items():
        if isinstance(networks, dict):
            found = dict(networks)
        elif isinstance(networks, (list, tuple)):
            found = {f"{role}_{i}": n for i, n in enumerate(networks)}
        else:
            found = {role: networks}
        for name, network in found.items():
            if not isinstance(network, keras.layers.Layer):
                raise ValueError(
                    f"The role '{role}' needs a Keras layer or model. "
                    f"Received: {network} of type {type(network).__name__}"
                )
            if not network.built:
                raise ValueError(
                    f"The {role} '{network.name}' (of type "
                    f"{type(network).__name__}) is not built. Give it a "
                    "`keras.Input`, or call it once on a batch of data."
                )
            if name in named:
                raise ValueError(
                    f"Two networks are named '{name}'. Received the roles "
                    f"{sorted(roles)}"
                )
            twin = {id(n): other for other, n in named.items()}.get(id(network))
            if twin is not None:
                raise ValueError(
                    f"'{twin}' and '{name}' are the same object, "
                    f"'{network.name}'. Give each its own network, for example "
                    "by `keras.models.clone_model`."
                )
            named[name] = network
    return named
