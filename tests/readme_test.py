"""What the README shows runs when it is pasted."""

import pathlib
import re

import keras

README = pathlib.Path(__file__).parent.parent / "README.md"


EXAMPLES = README.parent / "examples"
# What needs a corpus or a download to run.
NEEDS_DATA = ('manual_dir="~/', "whisper_tiny_en")


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


def test_scripts_are_those_of_the_examples():
    scripts = [b for b in blocks() if "sys.argv" in b]
    assert scripts == [(EXAMPLES / "files_to_student.py").read_text()]


def test_snippets_run_when_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    ran = 0
    for block in blocks():
        code = compile(block, str(README), "exec")
        if "sys.argv" in block or any(n in block for n in NEEDS_DATA):
            continue
        exec(code, names)
        ran += 1
    assert ran == len(blocks()) - 3
    assert names["amid"].player_layers("discriminator")
    # The claim of the quick start: it learnt from the teacher.
    student = keras.models.load_model(tmp_path / "student.keras")
    predicted = student.predict(names["x_val"]["audio"], verbose=0).argmax(-1)
    assert (predicted == names["y_val"]).mean() > 0.5
    printed = capsys.readouterr().out
    logs = sorted(names["history"])
    assert str(logs) in printed
    assert str(logs) in README.read_text()
    assert names["result"]["audio"]["accuracy"] > 0.2


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
