import dataclasses

import tensorflow_datasets as tfds


@dataclasses.dataclass(kw_only=True)
class MultimodalConfig(tfds.core.BuilderConfig):
    """Choices that change the content of a data set, and a name made of them.

    A subclass adds one field per choice. The name is that of the folder, so
    two choices live side by side.
    """

    name: str = ""

    def __post_init__(self):
        if not self.name:
            parts = [f"{k}_{_spell(v)}" for k, v in self.choices().items()]
            self.name = "-".join(parts) or "default"

    def choices(self):
        """The fields that subclasses added, as a dict; the last one's first."""
        common = {f.name for f in dataclasses.fields(tfds.core.BuilderConfig)}
        names = [f.name for f in dataclasses.fields(self)]
        own = vars(type(self)).get("__annotations__", {})
        return {
            name: getattr(self, name)
            for name in sorted(names, key=lambda name: name not in own)
            if name not in common
        }


def configure(builder, config, choices):
    """The configuration of a builder class that single choices amount to."""
    if not choices:
        return config
    known = builder.builder_config_cls
    valid = list(known().choices()) if known else []
    unknown = sorted(set(choices) - set(valid))
    if unknown:
        raise ValueError(
            f"{builder.__name__} does not know {unknown}. Its choices are "
            f"{valid}."
        )
    if config is not None:
        raise ValueError(
            "Give a `config` or single choices, not both. Received: "
            f"config={config!r}, {choices}"
        )
    return known(**choices)


def _spell(value):
    """A value as part of a folder's name: letters, digits, `.`, `_`, `+`."""
    if isinstance(value, (tuple, list)):
        return "_".join(map(_spell, value))
    if isinstance(value, float):
        return f"{value:g}"
    if value is None:
        return "any"
    return str(value).lower().replace(" ", "_")
