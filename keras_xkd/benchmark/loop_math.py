"""The mathematics of the methods, as one writes it by hand.

Written once for all frameworks: `f` has a framework's own functions by name,
see `native_jax.py` and its neighbours. `part(name, value)` runs a network or a
layer; the frozen ones without gradient.
"""

import keras

FROZEN = {
    "kd": ("teacher",),
    "features": ("teacher",),
    "cmd": ("teacher",),
    "cmc": ("teacher",),
    "amid": (),
    "umt": ("teacher_audio", "teacher_image"),
    "mke": ("teacher",),
}


def parts_of(work):
    """All that a method trains or asks, a dict `{name: Keras layer}`."""
    parts = dict(work.networks)
    distiller = work.distiller
    if work.method in ("cmd", "cmc"):
        parts["projector"] = distiller.projector
    elif work.method == "umt":
        parts["head"] = parts.pop("student").head
    elif work.method == "amid":
        for name, layer in distiller.projections.items():
            parts[f"project_{name}"] = layer
        parts["generator"] = distiller.entropy.generator
        parts["discriminator"] = distiller.discriminator
    return parts


def players_of(method, parts):
    """Names of the parts that each player trains, one list per player."""
    trained = [name for name in parts if name not in FROZEN[method]]
    first = [name for name in trained if name != "discriminator"]
    return [first, ["discriminator"]] if first != trained else [first]


def totals(method, f, part, x, y):
    """What each player minimises, a list of scalars."""
    return _TOTALS[method](f, part, x, y)


def kd(f, part, x, y):
    student = part("student", x)["logits"]
    log_t = f.log_softmax(part("teacher", x)["logits"] / 4.0)
    log_s = f.log_softmax(student / 4.0)
    divergence = f.mean(f.sum(f.exp(log_t) * (log_t - log_s)))
    task = f.cross_entropy(y, student)
    return [0.1 * task + 0.9 * 16.0 * divergence]


def features(f, part, x, y):
    student, teacher = part("student", x), part("teacher", x)
    gap = _squares(f, student["features"], teacher["features"])
    return [0.1 * f.cross_entropy(y, student["logits"]) + 0.9 * gap]


def cmc(f, part, x, y):
    student = part("projector", part("student", x)["features"])
    teacher = f.unit(part("teacher", x)["features"])
    return [_contrast(f, teacher, student)]


def cmd(f, part, x, y):
    student = part("projector", part("student", x)["features"])
    teacher = f.unit(part("teacher", x)["features"])
    p = f.exp(f.log_softmax(f.products(teacher, teacher) / 0.05))
    log_q = f.log_softmax(f.products(student, teacher) / 0.1)
    return [-f.mean(f.sum(p * log_q))]


def umt(f, part, x, y):
    own = {name: part(name, x)["features"] for name in ("audio", "image")}
    logits = part("head", f.concatenate(list(own.values()), -1))
    gaps = [
        _squares(f, value, part(f"teacher_{name}", x)["features"])
        for name, value in own.items()
    ]
    return [f.cross_entropy(y, logits) + 10.0 * sum(gaps)]


def mke(f, part, x, y):
    labels = f.argmax(part("teacher", x)["logits"])
    x = {name: value + 0.2 * f.sin(25.0 * value) for name, value in x.items()}
    return [f.cross_entropy(labels, part("student", x)["logits"])]


def amid(f, part, x, y):
    roles = ("student", "teacher", "auxiliary")
    outputs = {role: part(role, x) for role in roles}
    total = sum(f.cross_entropy(y, outputs[r]["logits"]) for r in roles)
    teacher = outputs["teacher"]["features"]
    for role in ("student", "auxiliary"):
        rows = part(f"project_teacher_of_{role}", teacher)
        own = part(f"project_{role}", outputs[role]["features"])
        total = total + 0.8 * _contrast(f, rows, own)
    t = f.constant(f.unit(teacher))
    guess = part("generator", outputs["student"]["features"])
    real, made_up = f.concatenate([t, t], -1), f.concatenate([t, guess], -1)
    logits = part("discriminator", f.concatenate([real, made_up], 0))[:, 0]
    real, made_up = logits[: len(t)], logits[len(t) :]
    total = total + 0.1 * f.mean(f.softplus(-made_up))
    return [total, f.mean(f.softplus(-real) + f.softplus(made_up))]


def _squares(f, student, teacher):
    gap = student - teacher
    return f.mean(gap * gap)


def _contrast(f, teacher, student):
    logits = f.products(student, teacher) / 0.07
    return f.mean(
        (f.logsumexp(logits, 1) + f.logsumexp(logits, 0)) / 2
        - f.diagonal(logits)
    )


_TOTALS = {
    "kd": kd,
    "features": features,
    "cmd": cmd,
    "cmc": cmc,
    "amid": amid,
    "umt": umt,
    "mke": mke,
}


def keras_training(layers, players):
    """What a loop over Keras networks trains.

    Returns:
        The variables of all players, their tensors by player, and an optimizer.
    """
    groups = [
        [v for name in own for v in layers[name].trainable_variables]
        for own in players
    ]
    variables = [v for group in groups for v in group]
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(variables)
    return variables, [[v.value for v in group] for group in groups], optimizer
