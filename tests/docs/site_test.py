"""The pages of the site, before MkDocs builds it: `make docs`."""

import json
import pathlib
import re

import gallery_record
import pytest
import site_docstrings
import site_griffe
import site_links
import site_pages
import site_reference
import tutobook_cells as cells

ROOT = pathlib.Path(__file__).parents[2]
PUBLIC = (ROOT / "tests/golden/public_api.txt").read_text().split()


@pytest.fixture(scope="module")
def package():
    return site_reference.load(ROOT)


@pytest.fixture(scope="module")
def reference(package):
    return site_reference.pages(package)


def test_every_public_object_is_in_the_reference(package, reference):
    assert list(site_griffe.public_objects(package)) == PUBLIC
    for name in PUBLIC:
        page = reference[f"reference/{name.split('.')[1]}.md"]
        assert page.count(f"::: {name}\n") == 1
        assert f"][{name}] |" in page
        assert f"][{name}]" in reference["reference/index.md"]
        obj = package[name.removeprefix("keras_xkd.")]
        assert obj.docstring.value.strip()
        assert site_griffe.public_name(obj) == name


def test_docstrings_explain_no_argument_that_is_not_there(package):
    marks = {"variadic positional": "*", "variadic keyword": "**"}
    for name, obj in site_griffe.public_objects(package).items():
        # A builder hands its choices on, and a callback those of its base.
        if name.startswith("keras_xkd.datasets.") or "Checkpoint" in name:
            continue
        found = re.search(
            r"\*\*Args\*\*\n\n(.*?)(\n\n[^`]|$)", obj.docstring.value, re.S
        )
        terms = re.findall(r"^(`.*`)\n:  ", found[1] if found else "", re.M)
        explained = re.findall(r"`(.*?)`", " ".join(terms))
        there = [marks.get(p.kind.value, "") + p.name for p in obj.parameters]
        assert set(explained) <= set(there), name


def test_groups_name_what_exists():
    for area, groups in site_reference.AREAS.items():
        for member in sum(groups.values(), []):
            assert f"keras_xkd.{area}.{member}" in PUBLIC
    names = ["keras_xkd.losses.InfoNCE", "keras_xkd.losses.brand_new"]
    names += ["keras_xkd.layers.New", "keras_xkd.newarea.new"]
    found = site_reference.groups("losses", names)
    assert found["Between features"] == names[:1]
    assert found["As functions"] == names[1:2]
    assert site_reference.groups("layers", names) == {"More": names[2:3]}
    assert site_reference.areas(names) == ["losses", "layers", "newarea"]


def test_docstring():
    links = {"UMT": "keras_xkd.distillers.UMT"}
    text = site_docstrings.to_markdown(
        """Compares `UMT` with itself.

Args:
    x, y: Of one
        shape.
    **kwargs: More.

Returns:
    A number.

Example:

>>> if True:
...     UMT

>>> 1
1

Not `umt`, and not:

```
`UMT`
```
""",
        links,
    )
    assert (
        text
        == """Compares [`UMT`][keras_xkd.distillers.UMT] with itself.

**Args**

`x`, `y`
:   Of one
    shape.

`**kwargs`
:   More.

**Returns**

A number.

**Example**

```pycon
>>> if True:
...     UMT

>>> 1
1
```

Not `umt`, and not:

```
`UMT`
```"""
    )


def test_no_docstring_keeps_a_prompt_outside_of_a_fence(package):
    for name, obj in site_griffe.public_objects(package).items():
        outside = re.sub(r"```.*?```", "", obj.docstring.value, flags=re.S)
        assert ">>>" not in outside, name


def test_what_text_may_call_a_public_object():
    names = ["keras_xkd.data.load", "keras_xkd.losses.InfoNCE"]
    names += [
        "keras_xkd.datasets.a.load_data",
        "keras_xkd.datasets.b.load_data",
    ]
    links = site_griffe.links(names)
    assert links["InfoNCE"] == links["xkd.losses.InfoNCE"] == names[1]
    assert links["data.load"] == names[0]
    assert "load" not in links  # An ordinary word.
    assert "load_data" not in links  # One of two.
    assert links["a.load_data"] == names[2]


def test_links_between_files_lead_to_pages():
    text = """[a](../README.md) [b](many_devices.py#setting-up) [c](#here)
[d](https://keras.io) [e](../LICENSE) [f](no_such_file.md)
```
[g](../README.md)
```
[h](../RESULTS.md) `RESULTS.md` `setup.py` [`CHANGELOG.md`](../CHANGELOG.md)
"""
    assert (
        site_pages.with_site_links(text, "guides/x.md")
        == """[a](../index.md) [b](many_devices.md#setting-up) [c](#here)
[d](https://keras.io) e [f](no_such_file.md)
```
[g](../README.md)
```
[h](../results.md) [`RESULTS.md`](../results.md) `setup.py` \
[`CHANGELOG.md`](../changelog.md)
"""
    )
    assert site_pages.with_site_links(text, "reference/losses.md") == text


def test_pages_of_scripts():
    found = site_pages.gallery()
    for folder in site_pages.FOLDERS:
        for script in cells.scripts(ROOT / folder):
            place = f"{folder}/{script.name}"
            page = found[f"{place}.md"]
            assert page.startswith(f"# {script.header['Title']}\n")
            assert f"({script.name}.md)" in found[f"{folder}/index.md"]
            assert json.loads(found[f"{place}.ipynb"])["nbformat"] == 4
            assert found[f"{place}.py"] == script.path.read_text()
            for picture in re.findall(r"\]\(\.\./(pictures/\S+)\)", page):
                assert found[picture]


def test_recorded_pictures_are_small_and_belong_to_scripts():
    scripts = {
        s.name for f in site_pages.FOLDERS for s in site_pages.scripts(f)
    }
    for path in site_pages.PICTURES.glob("*/*"):
        assert path.parent.name in scripts, f"{path} belongs to no script"
        assert path.stat().st_size < 300_000, f"{path} is large"
        if path.name == "output.json":
            record = json.loads(path.read_text())
            assert record["seconds"] < 120, f"{path.parent.name} takes long"


def test_an_output_is_shown_only_with_the_code_that_made_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(site_pages, "PICTURES", tmp_path)
    folder = tmp_path / "many_devices"
    folder.mkdir()
    script = cells.read(ROOT / "guides/many_devices.py")
    record = {
        "code": site_pages.digest(script),
        "with": "Keras 3",
        "seconds": 7,
        "cores": 2,
        "outputs": {"0": {"text": "It ran.", "pictures": []}},
    }
    (folder / "output.json").write_text(json.dumps(record))
    assert "It ran." in site_pages.script_page(script, "guides")
    record["code"] = "another"
    (folder / "output.json").write_text(json.dumps(record))
    page = site_pages.script_page(script, "guides")
    assert "It ran." not in page
    assert "make gallery" in page


def test_record(tmp_path, capsys):
    path = tmp_path / "draws.py"
    path.write_text(
        '"""\nTitle: Draws\nAccelerator: None\n"""\n\nimport pathlib\n\n'
        f'file = pathlib.Path({str(tmp_path)!r}) / "a.png"\n'
        'file.write_bytes(b"1")\n\n"""\n## Text\n"""\n\nprint("seen")\n'
    )
    found = gallery_record.run(path, tmp_path)
    assert found["outputs"] == {
        "0": {"text": "", "pictures": ["a.png"]},
        "1": {"text": "seen", "pictures": []},
    }
    assert capsys.readouterr().out == "seen\n"
    assert found["code"] == site_pages.digest(cells.read(path))


def test_shown_is_what_a_terminal_shows():
    bar = "1/2\x1b[0m\r2/2\nlost\x08\x08\x08\x08end"
    assert gallery_record.shown(f"{bar}  \n\n") == "2/2\nend"
    long = gallery_record.shown("\n".join(map(str, range(100))))
    assert long.split("\n")[19:22] == ["19", "...", "80"]


def test_link_check(tmp_path, monkeypatch):
    golden = tmp_path / "public_api.txt"
    golden.write_text("keras_xkd.a\n")
    monkeypatch.setattr(site_links, "GOLDEN", golden)
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/b.html#x">1</a><a href="#top">2</a><h1 id="top">T</h1>'
        '<a href="https://keras.io/api">3</a><p id="keras_xkd.a"></p>'
    )
    other = tmp_path / "sub/b.html"
    other.write_text('<a href="../index.html#top"></a><p id="x"></p>')
    assert site_links.problems(tmp_path) == []
    golden.write_text("keras_xkd.b\n")
    other.write_text(
        '<a href="c.html"></a><a href="../index.html#y"></a>'
        '<a href="http:/keras"></a><script src="https://a.org/b.js"></script>'
    )
    found = "\n".join(site_links.problems(tmp_path))
    assert "index.html: sub/b.html#x: there is no such place" in found
    assert "c.html: there is no such file" in found
    assert "../index.html#y: there is no such place" in found
    assert "http:/keras: no address" in found
    assert "b.js: a page must not fetch" in found
    assert "keras_xkd.b: has no place" in found
    assert len(found.splitlines()) == 6


def test_first_code_of_the_readme():
    code = site_pages.first_code("Quick start")
    assert code.startswith("```python\n") and code.endswith("\n```")
    assert "distiller.fit(" in code
    home = (ROOT / "docs/pages/index.md").read_text()
    assert "<!-- README: Quick start -->" in home
