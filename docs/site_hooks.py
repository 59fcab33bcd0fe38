"""What MkDocs calls while it builds the site; see `hooks` in mkdocs.yml."""

import pathlib
import re
import sys

from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import site_docstrings
import site_griffe
import site_pages
import site_reference

# What stands first among the results of a search, and what last.
BOOST = {"reference": 4, "guides": 2, "changelog.md": 0.2, "results.md": 0.5}

made = {}


def on_config(config):
    made["gallery"] = site_pages.gallery()
    made["documents"] = site_pages.documents()
    package = site_reference.load(site_pages.ROOT)
    made["reference"] = site_reference.pages(package)
    made["links"] = site_griffe.links(site_griffe.public_objects(package))
    config.nav = navigation()
    return config


def navigation():
    def pages(folder):
        places = [p for p in made["gallery"] if p.startswith(f"{folder}/")]
        return [place for place in places if place.endswith(".md")]

    return [
        {"Home": "index.md"},
        {"Guides": pages("guides")},
        {"Examples": pages("examples")},
        {
            "Reference": [
                *made["reference"],
                {"Command line": "command_line.md"},
            ]
        },
        {"Results": "results.md"},
        {
            "More": [
                {"Paired data of your own": "data/paired_media.md"},
                {"Licences of the data": "data/licenses.md"},
                {"Changelog": "changelog.md"},
                {"Contributing": "contributing.md"},
            ]
        },
    ]


def on_files(files, config):
    for kind in ("gallery", "documents", "reference"):
        for place, content in made[kind].items():
            files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    place = page.file.src_uri
    page.meta["search"] = {"boost": BOOST.get(place.split("/")[0], 1)}
    markdown = site_pages.with_site_links(markdown, place)
    markdown = re.sub(
        r"<!-- README: (.*?) -->",
        lambda match: site_pages.first_code(match[1]),
        markdown,
    )
    if place in made["reference"] or place == "changelog.md":
        return markdown
    return site_docstrings.linked(markdown, made["links"])


def on_post_build(config):
    """A page that is read from a folder loads the index as a script."""
    folder = pathlib.Path(config.site_dir, "search")
    index = (folder / "search_index.json").read_text()
    (folder / "search_index.js").write_text(f"var __index = {index}")
