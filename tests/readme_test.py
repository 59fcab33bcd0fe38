"""What the README shows runs when it is pasted."""

import pathlib
import re

import keras

README = pathlib.Path(__file__).parent.parent / "README.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


def test_snippets_run_when_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks():
        exec(compile(block, str(README), "exec"), names)
    # The claim of the quick start: it learnt from the teacher.
    student = keras.models.load_model(tmp_path / "student.keras")
    predicted = student.predict(names["x_val"]["audio"], verbose=0).argmax(-1)
    assert (predicted == names["y_val"]).mean() > 0.5
    printed = capsys.readouterr().out
    logs = sorted(names["history"])
    assert str(logs) in printed
    assert str(logs) in README.read_text()
    assert "mimic" in printed  # The summary.


def test_links_within_the_repository():
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_every_public_class_is_in_the_readme():
    from keras_xkd.api_export import PUBLIC

    text = README.read_text()
    for path, obj in PUBLIC.items():
        if not path.startswith("keras_xkd."):
            continue
        if isinstance(obj, type) and "losses.Comparison" not in path:
            name = path.rsplit(".", 1)[1]
            if name in ("ContrastiveMemory", "SimilarityQueue"):
                continue  # Made by their losses.
            assert name in text, path
