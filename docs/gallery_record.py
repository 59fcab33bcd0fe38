"""Runs scripts of the gallery and keeps what they print and draw.

    python docs/gallery_record.py [FILE...]

Without files it runs the scripts whose code changed since. Each runs in a
process of its own, cell by cell as in a notebook. Pictures, pages
and `output.json` go to docs/pictures/<script>, where the site finds them.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import site_pages
import tutobook_cells as cells

WIDEST = 1400  # Pixels; twice what a page shows.
MOST_LINES = 40
PACKAGES = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}


def run(path, output) -> dict:
    """Runs the cells of a script in this process.

    Returns:
        `{"code": hash, "with": versions, "outputs": {number of a cell of
        code: {"text": ..., "pictures": [...]}}}`; the pictures are in the
        folder `output`.
    """
    script = cells.read(path)
    names = {"__name__": "__main__", "__file__": str(path)}
    outputs, seen = {}, {}
    code = [cell for cell in script.cells if cell.kind == "code"]
    for number, cell in enumerate(code):
        # Blank lines before it let errors name the line of the file.
        lines = "\n" * (cell.line - 1) + cell.source
        printed = Both(sys.stdout)
        with contextlib.redirect_stdout(printed):
            exec(compile(lines, str(path), "exec"), names)
        now = {p.name: p.stat().st_mtime_ns for p in output.glob("*.png")}
        pictures = [name for name in now if now[name] != seen.get(name)]
        pictures.sort(key=lambda name: now[name])
        seen = now
        text = shown(printed.getvalue())
        if text or pictures:
            outputs[str(number)] = {"text": text, "pictures": pictures}
    return {
        "code": site_pages.digest(script),
        "with": versions(),
        "outputs": outputs,
    }


class Both(io.StringIO):
    """Keeps what is written, and passes it on."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def write(self, text):
        self.stream.write(text)
        return super().write(text)


def shown(printed) -> str:
    """What a terminal would show in the end, without its middle if long."""
    printed = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", printed)
    printed = re.sub(r"[^\n\x08]*\x08+", "", printed)
    lines = [line.rpartition("\r")[2].rstrip() for line in printed.split("\n")]
    text = "\n".join(lines).strip("\n")
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], "...", *lines[-half:]]
    return "\n".join(lines)


def versions() -> str:
    """What it ran with, in words."""
    import importlib.metadata

    import keras

    backend = keras.backend.backend()
    version = importlib.metadata.version(PACKAGES[backend])
    return f"Keras {keras.__version__} on {backend} {version}, processor"


def shrink(source, target):
    """Copies a picture with few colours, not wider than a page needs."""
    from PIL import Image

    picture = Image.open(source).convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    picture.quantize(colors=128, dither=Image.Dither.NONE).save(
        target, optimize=True
    )


def record(path):
    """Runs a script, and replaces what was recorded of it before."""
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder)
        environment = {**os.environ, "OUTPUT": folder, "MPLBACKEND": "Agg"}
        command = [sys.executable, __file__, "--inside", str(path.resolve())]
        start = time.monotonic()
        subprocess.run(command, cwd=folder, env=environment, check=True)
        found = json.loads((output / "output.json").read_text())
        found["seconds"] = round(time.monotonic() - start)
        found["cores"] = os.cpu_count()
        target = site_pages.PICTURES / path.stem
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        text = json.dumps(found, indent=1) + "\n"
        (target / "output.json").write_text(text)
        for page in output.glob("*.html"):
            text = page.read_text().replace(f"{site_pages.ROOT}/", "")
            (target / page.name).write_text(text)
        for picture in output.glob("*.png"):
            shrink(picture, target / picture.name)


def changed():
    for folder in site_pages.FOLDERS:
        for script in site_pages.scripts(folder):
            if site_pages.record_of(script) is None:
                yield script.path


def main(arguments) -> int:
    if arguments[:1] == ["--inside"]:
        output = pathlib.Path(os.environ["OUTPUT"])
        found = run(pathlib.Path(arguments[1]), output)
        text = json.dumps(found, indent=1) + "\n"
        text = text.replace(str(output), "OUTPUT")  # A folder of this run.
        (output / "output.json").write_text(text)
        return 0
    failed = []
    for path in map(pathlib.Path, arguments or changed()):
        print(f"== {path}", flush=True)
        try:
            record(path)
        except subprocess.CalledProcessError:
            failed.append(str(path))
    if failed:
        print("failed, and nothing of it was kept:", *failed)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
