"""Which samples a folder of media has, from a table or from its folders."""

import csv
import dataclasses
import hashlib
import pathlib
import re

from keras_xkd.datasets.file_error import GO_ON
from keras_xkd.datasets.file_error import DataFileError

KINDS = ("video", "audio", "image", "depth", "text")
ENDINGS = {
    "video": ".mp4 .avi .mkv .webm .mov .m4v .mpg .mpeg .flv .wmv".split(),
    "audio": ".wav .flac .mp3 .ogg .oga .opus .m4a .aac .wma".split(),
    "image": ".png .jpg .jpeg .bmp .webp .gif .tif .tiff".split(),
    "text": [".txt"],
}
# What a file of another kind may hold: sound in a video, pictures in a gif.
OTHERS = {"audio": ENDINGS["video"], "video": [".gif", ".ogg"]}
RESERVED = ("id", "split", "label", "start", "end")
SPLIT = re.compile(r"\w[\w-]*")
NAME = re.compile(r"\w+")


@dataclasses.dataclass
class Sample:
    """One row; `files` has a path, a text or None for each modality."""

    id: str
    split: str
    label: str | None
    start: float
    end: float | None
    files: dict


def read_table(path, folder):
    """The samples of a csv file, and the kinds of its modalities."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = [title.strip() for title in next(reader, [])]
        lines = [[v.strip() for v in line] for line in reader if any(line)]
    if "id" not in columns or not lines or len(set(columns)) < len(columns):
        raise ValueError(
            f"{path} must have a line of titles, one of them `id`, and a line "
            f"for each sample. Received: {columns} and {len(lines)} lines"
        )
    for line in lines:
        if len(line) != len(columns):
            raise ValueError(
                f"{path}: expected {len(columns)} values, for {columns}. "
                f"Received: {line}"
            )
    rows = [dict(zip(columns, line)) for line in lines]
    kinds = {
        column: _kind(column, [row[column] for row in rows], path)
        for column in columns
        if column not in RESERVED
    }
    return [_from_row(row, kinds, folder) for row in rows], kinds


def _from_row(row, kinds, folder):
    where = f"Sample {row['id']!r}"
    start, end = (
        _number(row.get(k), f"{where}, column `{k}`") for k in ("start", "end")
    )
    if end is not None and end <= (start or 0):
        raise ValueError(f"{where} must end after its start. Received: {row}")
    return Sample(
        id=row["id"],
        split=row.get("split", "train"),
        label=row.get("label") or None,
        start=start or 0.0,
        end=end,
        files={
            name: _value(row[name], kind, folder)
            for name, kind in kinds.items()
        },
    )


def _value(value, kind, folder):
    if not value:
        return None
    if kind == "text" and not value.endswith(".txt"):
        return value
    return folder / value


def _number(value, where):
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{where}: expected seconds, got {value!r}") from None


def _kind(column, values, where):
    """By the name up to a `_`, or else by the endings of the files."""
    head = column.split("_")[0]
    if NAME.fullmatch(column) and head in KINDS:
        return head
    endings = {pathlib.PurePath(v).suffix.lower() for v in values if v}
    for kind, known in ENDINGS.items():
        if NAME.fullmatch(column) and endings and endings <= set(known):
            return kind
    raise ValueError(
        f"{where}: the column {column!r} is of no known kind. A modality's "
        f"name starts with one of {', '.join(KINDS)}, or all its files have "
        f"endings of one kind; other columns are {', '.join(RESERVED)}. "
        f"Received: endings {sorted(endings)[:5]}"
    )


def read_folders(folder):
    """The samples of `<modality>/<split>/<label>/<id>.<ending>`."""
    samples, kinds = {}, {}
    modalities = [p for p in sorted(folder.iterdir()) if _visible(p, "dir")]
    for modality in modalities:
        files = [p for p in sorted(modality.rglob("*")) if _visible(p, "file")]
        kinds[modality.name] = _kind(
            modality.name, [p.name for p in files], folder
        )
        for path in files:
            parts = path.relative_to(modality).parts
            if len(parts) not in (2, 3):
                raise ValueError(
                    "Expected <modality>/<split>/<label>/<file>, or "
                    f"<modality>/<split>/<file> without labels, in {folder}. "
                    f"Received: {path.relative_to(folder)}"
                )
            split, label = parts[0], parts[1] if len(parts) == 3 else None
            name = path.stem if label is None else f"{label}/{path.stem}"
            sample = samples.setdefault(
                (split, name), Sample(name, split, label, 0.0, None, {})
            )
            if modality.name in sample.files:
                raise ValueError(
                    f"{path} and {sample.files[modality.name]} are both the "
                    f"{modality.name} of the sample {name!r}."
                )
            sample.files[modality.name] = path
    if not samples:
        raise ValueError(
            f"Expected a table, or <modality>/<split>/<label>/<file>, in "
            f"{folder}. Received: {[p.name for p in folder.iterdir()][:5]}"
        )
    for sample in samples.values():
        sample.files = {name: sample.files.get(name) for name in kinds}
    return list(samples.values()), kinds


def _visible(path, what):
    return not path.name.startswith(".") and getattr(path, f"is_{what}")()


def check_samples(samples, where):
    """Raises for duplicates, names of splits and missing labels."""
    seen, twice = set(), []
    for sample in samples:
        key = (sample.split, sample.id)
        twice += [sample.id] if key in seen else []
        seen.add(key)
    _refuse("more than one sample has the id", twice, where)
    splits = sorted({s.split for s in samples if not SPLIT.fullmatch(s.split)})
    _refuse("these are no names of splits:", splits, where)
    without = [s.id for s in samples if not s.label]
    if len(without) < len(samples):
        _refuse("a label is missing for", without, where)
    empty = [s.id for s in samples if not any(s.files.values())]
    _refuse("there is no modality for", empty, where)


def check_endings(samples, kinds, where):
    """Raises for files that cannot be what their column is."""
    known = {e: kind for kind, ends in ENDINGS.items() for e in ends}
    for name, kind in kinds.items():
        kind = "image" if kind == "depth" else kind
        wrong = [
            str(file)
            for file in (sample.files[name] for sample in samples)
            if isinstance(file, pathlib.Path)
            and known.get(file.suffix.lower(), kind) != kind
            and file.suffix.lower() not in OTHERS.get(kind, ())
        ]
        _refuse(f"the modality `{name}` cannot be read from", wrong, where)


def check_missing(samples, shown=5):
    """Raises a `DataFileError` that lists files that are not there."""
    files = {
        file
        for sample in samples
        for file in sample.files.values()
        if isinstance(file, pathlib.Path)
    }
    missing = sorted(file for file in files if not file.is_file())
    if missing:
        others = "".join(f"\n  {path}" for path in missing[1:shown])
        raise DataFileError(
            missing[0],
            f"missing, {len(missing)} of {len(files)} files are. {GO_ON}"
            + others,
        )


def fingerprint(samples, folder):
    """A hash of the table, the same wherever its folder is."""
    prefix = f"{folder.as_posix()}/"
    rows = [
        {name: _within(value, prefix) for name, value in s.files.items()}
        | {name: value for name, value in vars(s).items() if name != "files"}
        for s in samples
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _within(value, prefix):
    if isinstance(value, pathlib.Path):
        return "/" + value.as_posix().removeprefix(prefix).lstrip("/")
    return str(value)


def _refuse(problem, names, where, shown=5):
    if names:
        rest = f" and {len(names) - shown} more" if len(names) > shown else ""
        listed = ", ".join(map(repr, names[:shown]))
        raise ValueError(f"{where}: {problem} {listed}{rest}.")
