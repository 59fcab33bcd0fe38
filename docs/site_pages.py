"""The pages of the site that are made from other files of the repository."""

import hashlib
import json
import pathlib
import posixpath
import re
import subprocess
import sys

import tutobook
import tutobook_cells as cells

ROOT = pathlib.Path(__file__).parent.parent
PICTURES = ROOT / "docs/pictures"

# Documents as they are, by their place in the site.
DOCUMENTS = {
    "results.md": "RESULTS.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "data/paired_media.md": "keras_xkd/datasets/paired_media.md",
    "data/licenses.md": "keras_xkd/datasets/LICENSES.md",
}
# What a newcomer reads first; the rest follows by name.
FIRST = {
    "guides": ["choosing_a_method", "writing_your_own_distiller"],
    "examples": ["cross_modal_distillation"],
}
FOLDERS = {
    "guides": (
        "Guides",
        "Each guide is a script that runs as it is, on every backend. "
        "Read it here, or open its notebook.",
    ),
    "examples": (
        "Examples",
        "Each example states a claim, runs offline in about two minutes on two "
        "cores, and checks the claim at the end. It says in one line what to "
        "change for the full data.",
    ),
}
NOT_SHOWN = (
    "This script changed after its output was last recorded, so that neither "
    "prints nor pictures are shown. `make gallery` records them again."
)


def digest(script) -> str:
    """Says whether a record belongs to a script as it is now."""
    return hashlib.sha256(script.code.encode()).hexdigest()


def record_of(script):
    """What the script wrote when `make gallery` ran it, or None."""
    path = PICTURES / script.name / "output.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record if record["code"] == digest(script) else None


def scripts(folder):
    """The scripts of a folder in the order of the site."""
    found = {script.name: script for script in cells.scripts(ROOT / folder)}
    first = [name for name in FIRST[folder] if name in found]
    return [found.pop(name) for name in first] + list(found.values())


def script_page(script, folder) -> str:
    record = record_of(script)
    name, pictures = script.name, f"../pictures/{script.name}/"
    links = [
        f"[Notebook]({name}.ipynb){{ download }}",
        f"[Script]({name}.py){{ download }}",
    ]
    for page in sorted((PICTURES / name).glob("*.html")):
        links.append(f"[{page.stem.capitalize()}]({pictures}{page.name})")
    under = " · ".join(links) + "\n{ .downloads data-search-exclude }"
    if record:
        took = f"{record['seconds']} s on {record['cores']} cores"
        ran = f"Outputs: {record['with']}, {took}."
        under += f"\n\n{ran}\n{{ .ran data-search-exclude }}"
    elif (PICTURES / name).exists():
        under += f"\n\n!!! note\n    {NOT_SHOWN}"
    outputs = record and record["outputs"]
    text = tutobook.to_markdown(script, outputs, pictures, under)
    title = tutobook.title_of(script)
    marked = f"{title}\n{{ .header data-search-exclude }}"
    return text.replace(title, marked, 1)


def plain_page(path) -> str:
    """A script that is not in the format of the gallery."""
    title = path.stem.replace("_", " ").capitalize()
    code = tutobook.fence("python", path.read_text().rstrip())
    return f"# {title}\n\n{code}\n"


def folder_index(folder) -> str:
    title, about = FOLDERS[folder]
    parts = [f"# {title}", about, '<div class="grid cards" markdown>']
    for script in scripts(folder):
        link = f"{script.name}.md"
        text = f"-   **[{script.header['Title']}]({link})**\n"
        record = record_of(script)
        shown = record["outputs"].values() if record else []
        pictures = [name for output in shown for name in output["pictures"]]
        if pictures:
            source = f"../pictures/{script.name}/{pictures[0]}"
            text += f"\n    [![]({source})]({link})\n"
        parts.append(f"{text}\n    {script.header['Description']}\n")
    parts.append("</div>")
    plain = plain_scripts(folder)
    if plain:
        names = [f"[{p.stem}]({p.stem}.md)" for p in plain]
        parts.append(f"Shorter, without text: {', '.join(names)}.")
    return "\n\n".join(parts) + "\n"


def plain_scripts(folder):
    found = sorted((ROOT / folder).glob("*.py"))
    return [path for path in found if not cells.has_header(path)]


def gallery() -> dict[str, str | bytes]:
    """Pages, notebooks, scripts and pictures of guides and examples."""
    found: dict[str, str | bytes] = {}
    for folder in FOLDERS:
        found[f"{folder}/index.md"] = folder_index(folder)
        for script in scripts(folder):
            place = f"{folder}/{script.name}"
            found[f"{place}.md"] = script_page(script, folder)
            notebook = tutobook.to_notebook(script)
            found[f"{place}.ipynb"] = json.dumps(notebook, indent=1) + "\n"
            found[f"{place}.py"] = script.path.read_text()
            for file in sorted((PICTURES / script.name).glob("*")):
                if file.suffix in (".png", ".html"):
                    source = f"pictures/{script.name}/{file.name}"
                    found[source] = file.read_bytes()
        for path in plain_scripts(folder):
            found[f"{folder}/{path.stem}.md"] = plain_page(path)
    return found


def documents() -> dict[str, str]:
    found = {place: (ROOT / d).read_text() for place, d in DOCUMENTS.items()}
    done = subprocess.run(
        [sys.executable, "-m", "keras_xkd", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"COLUMNS": "80", "PATH": ""},
        check=True,
    )
    found["command_line.md"] = "# Command line\n\n" + tutobook.fence(
        "text", done.stdout.rstrip()
    )
    return found


def source_of(place) -> str | None:
    """The file of the repository that a page is made from."""
    if place in DOCUMENTS:
        return DOCUMENTS[place]
    folder, _, name = place.rpartition("/")
    if folder in FOLDERS and name.endswith(".md") and name != "index.md":
        return f"{folder}/{name[:-3]}.py"
    return None


def place_of(source) -> str | None:
    """Where the site has a file of the repository."""
    places = {document: place for place, document in DOCUMENTS.items()}
    places["README.md"] = "index.md"
    folder, _, name = source.rpartition("/")
    if folder in FOLDERS and name.endswith(".py"):
        return f"{source[:-3]}.md"
    return places.get(source)


def with_site_links(text, place) -> str:
    """Lets links between files of the repository lead to pages of the site.

    A link to a file that is no page becomes its text.
    """
    source = source_of(place)
    if source is None:
        return text

    def change(match):
        words, target = match.groups()
        path, mark, anchor = target.partition("#")
        if not path or ":" in path:
            return match[0]
        file = posixpath.normpath(
            posixpath.join(posixpath.dirname(source), path)
        )
        page = place_of(file)
        if page is None:
            return words if (ROOT / file).exists() else match[0]
        return f"[{words}]({towards(page)}{mark}{anchor})"

    def towards(page):
        return posixpath.relpath(page, posixpath.dirname(place) or ".")

    def named(match):
        page = place_of(match[1]) if (ROOT / match[1]).exists() else None
        return f"[{match[0]}]({towards(page)})" if page else match[0]

    fences = re.compile(r"(^ *(`{3,}).*?^ *\2`* *$)", re.M | re.S)
    parts = fences.split(text)
    # `split` returns what is between fences, the fence, its marks, and so on.
    for number in range(0, len(parts), 3):
        text = re.sub(
            r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)(?!\{)", change, parts[number]
        )
        # Files that a text names in backticks, from the root.
        parts[number] = re.sub(
            r"(?<![`\[])`([\w/]+\.(?:md|py))`(?![`\]])", named, text
        )
    return "".join(part for number, part in enumerate(parts) if number % 3 != 2)


def first_code(title) -> str:
    """The first code of a section of the README, which its test runs."""
    readme = (ROOT / "README.md").read_text()
    section = readme.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    code = re.search(r"```python\n.*?\n```", section, re.S)
    return code[0]
