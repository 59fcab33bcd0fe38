import io

from keras_xkd.benchmark.progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(stream, steps=4):
    progress = StageProgress("stage", steps, stream)
    progress.on_train_begin()
    for batch in range(steps):
        progress.shown = 0.0  # Long ago.
        progress.on_train_batch_end(batch)
    progress.on_train_end()
    return stream.getvalue()


def test_a_file_gets_one_line():
    text = train(io.StringIO())
    assert text.startswith("stage")
    assert text.count("\n") == 1
    assert "[####################] 4/4, 0 s" in text
    assert "\r" not in text


def test_a_terminal_gets_a_moving_line():
    text = train(Terminal())
    assert "[#####...............] 1/4" in text
    assert text.count("\n") == 1 and text.endswith("\n")
    assert len({len(part) for part in text.strip("\r\n").split("\r")}) == 1
    assert max(map(len, text.split("\r"))) <= 80
