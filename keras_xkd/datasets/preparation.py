import dataclasses
import json
import warnings

FILE = "prepared_from.json"


@dataclasses.dataclass
class Preparation:
    """How prepared data came about; a file beside the data."""

    manual_dir: str = ""
    choices: dict = dataclasses.field(default_factory=dict)
    fingerprint: str | None = None
    left_out: list = dataclasses.field(default_factory=list)
    on_error: str | None = None

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

    def check_source(self, builder):
        """A folder that is another, or has changed, must not be ignored."""
        folder = builder.manual_dir
        # Its files may have been deleted since.
        if not folder or not folder.is_dir() or not any(folder.iterdir()):
            return
        if builder.fingerprint(folder) != self.fingerprint:
            raise ValueError(
                f"{folder} is not what the data in {builder.data_dir} was "
                f"prepared from, which was {self.manual_dir}, or it has "
                "changed since. Delete the prepared data, or choose another "
                "`data_dir`."
            )

    def compare_on_error(self, on_error, folder):
        """Warns if `on_error` would have led to other data."""
        if self.left_out and self.on_error not in (None, on_error):
            warnings.warn(
                f"The data in {folder} was prepared with on_error="
                f"{self.on_error!r}, and is read as it is: {self._losses()}. "
                f"Received: on_error={on_error!r}. To prepare it anew, delete "
                "that folder or choose another `data_dir`.",
                stacklevel=3,
            )

    def summary(self, folder, shown=5):
        """What was left out, in a few lines."""
        lines = [f"  {f['file']}: {f['reason']}" for f in self.left_out[:shown]]
        if len(self.left_out) > shown:
            lines.append(f"  ... and {len(self.left_out) - shown} more")
        return "\n".join(
            [
                f"{self._losses()}, because of missing or damaged files:",
                *lines,
                f"All of them are listed in {folder / FILE}.",
            ]
        )

    def _losses(self):
        lost = [f for f in self.left_out if f["skipped"]]
        skipped = len({(f["split"], f["key"]) for f in lost})
        absent = len(self.left_out) - len(lost)
        parts = []
        if skipped:
            what = "sample was" if skipped == 1 else "samples were"
            parts.append(f"{skipped} {what} left out")
        if absent:
            what = "modality was" if absent == 1 else "modalities were"
            parts.append(f"{absent} {what} marked as absent")
        return " and ".join(parts)
