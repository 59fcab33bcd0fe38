"""Learned layers that bring a student's output to a teacher's width."""

import keras

from keras_xkd.layers.projection_head import ProjectionHead


def make_projections(projections, readout, student, teachers):
    """Returns `{teacher: {output: layer}}`.

    Args:
        projections: `"auto"`, None, `{output: layer}` for a single teacher or
            `{teacher: {output: layer}}`.
        readout: The `Outputs` that know the shapes.
        student: The student.
        teachers: A dict of the teachers by name.
    """
    if projections is None:
        return {}
    if projections == "auto":
        return {
            name: _automatic(readout, student, teacher, name)
            for name, teacher in teachers.items()
        }
    if not isinstance(projections, dict):
        raise ValueError(
            "`projections` must be 'auto', None or a dict of layers. "
            f"Received: projections={projections!r}"
        )
    if not all(isinstance(value, dict) for value in projections.values()):
        if len(teachers) > 1:
            raise ValueError(
                "With several teachers `projections` must be a dict "
                f"`{{teacher: {{output: layer}}}}` with the keys "
                f"{sorted(teachers)}. Received: {sorted(projections)}"
            )
        projections = {next(iter(teachers)): projections}
    unknown = sorted(set(projections) - set(teachers))
    if unknown:
        raise ValueError(
            f"`projections` names the teachers {unknown}; the teachers are "
            f"{sorted(teachers)}."
        )
    for layers in projections.values():
        for output, layer in layers.items():
            _build(layer, _shape(readout, student, output), output)
    return projections


def _automatic(readout, student, teacher, name):
    layers = {}
    shared = {"features"} | (
        set(readout.symbolic(student) or {})
        & set(readout.symbolic(teacher) or {})
    )
    for output in sorted(shared - {"logits", "score"}):
        width = (_shape(readout, teacher, output) or (None,))[-1]
        shape = _shape(readout, student, output) or (None,)
        if width and shape[-1] and width != shape[-1]:
            layer = keras.layers.Dense(
                width, name=f"{name}_{output}_projection"
            )
            layers[output] = _build(layer, shape, output)
    return layers


def _shape(readout, network, output):
    if output == "features":
        return readout.features_shape(network)
    return readout.shape(network, output)


def _build(layer, shape, output):
    if not layer.built:
        if shape is None:
            raise ValueError(
                f"The projection '{layer.name}' is not built, and the shape "
                f"of the student's '{output}' is not known. Build it first."
            )
        layer.build(shape)
    return layer


def make_heads(widths, units):
    """`{name: ProjectionHead}` from `{name: width of its input}`."""
    heads = {
        name: ProjectionHead(units, name=f"{name}_projection")
        for name in widths
    }
    for name, width in widths.items():
        heads[name].build((None, width))
    return heads
