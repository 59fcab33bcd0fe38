import dataclasses
import json

FILE = "prepared_from.json"


@dataclasses.dataclass
class Preparation:
    """How prepared data came about; a file beside the data."""

    manual_dir: str = ""
    choices: dict = dataclasses.field(default_factory=dict)
    fingerprint: str | None = None
    left_out: list = dataclasses.field(default_factory=list)

    @classmethod
    def read(cls, folder):
        path = folder / FILE
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, folder):
        text = json.dumps(dataclasses.asdict(self), indent=2)
        (folder / FILE).write_text(text)

    def check_choices(self, choices, folder):
        """Two configurations of one name must not share data."""
        # As they are read from a file.
        wanted = json.loads(json.dumps(choices))
        if self.choices and self.choices != wanted:
            raise ValueError(
                f"The data in {folder} was prepared with other choices. Give "
                "the configuration another name.\n"
                f"Prepared: {self.choices}\nReceived: {wanted}"
            )

    def check_fingerprint(self, fingerprint, manual_dir, folder):
        if self.fingerprint != fingerprint:
            raise ValueError(
                f"{manual_dir} is not what the data in {folder} was prepared "
                f"from, which was {self.manual_dir}, or it has changed since. "
                "Delete that folder, or choose another `data_dir`."
            )

    def summary(self, folder, shown=5):
        """What was left out, in a few lines."""
        lost = [f for f in self.left_out if f["skipped"]]
        skipped = len({(f["split"], f["key"]) for f in lost})
        absent = sum(not f["skipped"] for f in self.left_out)
        lines = [f"  {f['file']}: {f['reason']}" for f in self.left_out[:shown]]
        if len(self.left_out) > shown:
            lines.append(f"  ... and {len(self.left_out) - shown} more")
        return "\n".join(
            [
                f"{skipped} samples were left out and {absent} modalities "
                "marked as absent, because of missing or damaged files:",
                *lines,
                f"All of them are listed in {folder / FILE}.",
            ]
        )
