import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

from keras_xkd.utils import select_modalities
from keras_xkd.utils.modalities import MissingModalityError
from keras_xkd.utils.modalities import check_batch
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import zero_absent
from tests.test_case import to_numpy


def two_towers():
    inputs = {
        "video": keras.Input((3,), name="video"),
        "audio": keras.Input((2,), name="audio"),
    }
    merged = layers.Concatenate()([inputs["audio"], inputs["video"]])
    return keras.Model(inputs, layers.Dense(1)(merged))


def test_text_is_not_read_as_video():
    """Keras reads extra keys by position, with only a warning."""
    model = two_towers()
    x = {
        "audio": np.ones((4, 2), "float32"),
        "text": np.full((4, 3), 7.0, "float32"),
        "video": np.zeros((4, 3), "float32"),
    }
    picked = select_modalities(x, model)
    assert sorted(picked) == ["audio", "video"]
    assert picked["video"] is x["video"]
    expected = model.predict({k: x[k] for k in ("audio", "video")}, verbose=0)
    np.testing.assert_array_equal(model.predict(picked, verbose=0), expected)


def test_missing_modality_names_what_is_needed_and_what_came():
    with pytest.raises(MissingModalityError) as error:
        select_modalities({"audio": 1, "text": 2, "present": 3}, two_towers())
    message = str(error.value)
    assert "['audio', 'video']" in message
    assert "'video' is missing" in message
    assert "Received: ['audio', 'text']" in message


def test_nested_dicts():
    inputs = {
        "text": {
            "tokens": keras.Input((5,), name="tokens"),
            "mask": keras.Input((5,), name="mask"),
        },
        "audio": keras.Input((2,), name="audio"),
    }
    merged = layers.Concatenate()(keras.tree.flatten(inputs))
    model = keras.Model(inputs, layers.Dense(1)(merged))
    x = {
        "audio": 1,
        "image": 2,
        "text": {"tokens": 3, "mask": 4, "segments": 5},
    }
    assert select_modalities(x, model) == {
        "audio": 1,
        "text": {"tokens": 3, "mask": 4},
    }
    with pytest.raises(ValueError, match="'mask' is missing"):
        select_modalities({"audio": 1, "text": {"tokens": 3}}, model)
    assert modalities_of(model) == ("text", "audio")


def test_single_tensor_and_list():
    audio = keras.Input((2,), name="audio")
    single = keras.Model(audio, layers.Dense(1)(audio))
    assert select_modalities({"audio": 1, "video": 2}, single) == 1
    assert select_modalities(np.ones(2), single).shape == (2,)
    video = keras.Input((2,), name="video")
    both = keras.Model([video, audio], layers.Add()([video, audio]))
    assert select_modalities({"audio": 1, "video": 2, "a": 3}, both) == [2, 1]
    assert select_modalities([5, 6], both) == [5, 6]
    with pytest.raises(ValueError, match="must be a dict"):
        select_modalities(np.ones(2), both)
    one = keras.Model({"audio": audio}, layers.Dense(1)(audio))
    assert select_modalities(7, one) == {"audio": 7}


def test_sequential_also_when_grown_layer_by_layer():
    model = keras.Sequential([keras.Input((2,), name="audio")])
    model.add(layers.Dense(2))
    model.add(layers.Dense(1))
    assert select_modalities({"audio": 1, "video": 2}, model) == 1


@pytest.mark.parametrize("kind", ["functional", "sequential", "list"])
def test_automatic_names_are_refused(kind):
    tensor = keras.Input((2,))
    if kind == "sequential":
        model = keras.Sequential([tensor, layers.Dense(1)])
    elif kind == "functional":
        model = keras.Model(tensor, layers.Dense(1)(tensor))
    else:
        audio = keras.Input((2,), name="audio")
        model = keras.Model([audio, tensor], layers.Add()([audio, tensor]))
    with pytest.raises(ValueError, match="Name its inputs"):
        select_modalities({"audio": 1, "keras_tensor": 2}, model)


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x["audio"] if isinstance(x, dict) else x)


def test_subclassed_networks():
    x = {"audio": np.ones((1, 2)), "video": np.ones((1, 3))}
    on_dict = Subclassed()
    on_dict({"audio": x["audio"]})
    assert sorted(select_modalities(x, on_dict)) == ["audio"]
    declared = Subclassed()
    declared.modalities = ("audio",)
    declared({"audio": x["audio"]})
    assert sorted(select_modalities(x, declared)) == ["audio"]
    bare = Subclassed()
    bare.modalities = ("audio",)
    bare(x["audio"])
    assert select_modalities(x, bare) is x["audio"]
    silent = Subclassed()
    silent(x["audio"])
    with pytest.raises(ValueError, match="modalities = "):
        select_modalities(x, silent)


def test_presence():
    audio = {"present": {"audio": np.array([1, 0, 1]), "video": np.ones(3)}}
    x = {"audio": np.ones((3, 2)), "video": np.ones((3, 3)), **audio}
    model = two_towers()
    np.testing.assert_array_equal(to_numpy(presence(x, model)), [1, 0, 1])
    assert presence({"audio": 1, "video": 2}, model) is None
    # A network that reads the mask itself needs one modality of several.
    reader = Subclassed()
    reader.modalities = ("audio", "video", "present")
    reader({"audio": x["audio"]})
    x["present"] = {
        "audio": np.array([1, 0, 0]),
        "video": np.array([0, 1, 0]),
    }
    np.testing.assert_array_equal(to_numpy(presence(x, reader)), [1, 1, 0])


def test_optional_entries_are_picked_where_they_are():
    model = Subclassed()
    model.modalities, model.optional = ("audio",), ("video", "present")
    model({"audio": np.ones((3, 2))})
    present = {"audio": np.array([1, 0, 0]), "text": np.zeros(3)}
    x = {"audio": 1, "text": 2}
    assert select_modalities(x, model) == {"audio": 1}
    picked = select_modalities({**x, "video": 3, "present": present}, model)
    # Masks of what it does not read would mean nothing to it.
    assert picked == {
        "audio": 1,
        "video": 3,
        "present": {"audio": present["audio"]},
    }
    with pytest.raises(MissingModalityError, match="'audio' is missing"):
        select_modalities({"video": 3}, model)
    # It copes with absent modalities: one of those in `x` is enough.
    found = presence({"audio": 1, "present": present}, model)
    np.testing.assert_array_equal(to_numpy(found), [1, 0, 0])
    x = {"audio": 1, "video": 3, "present": {"audio": np.zeros(3)}}
    assert presence(x, model) is None  # Video is always there.
    x["present"]["video"] = np.array([0, 1, 0])
    np.testing.assert_array_equal(to_numpy(presence(x, model)), [0, 1, 0])


def test_absent_samples_are_zeroed():
    x = {
        "audio": np.array([[1.0, np.nan], [np.nan, 2.0]], "float32"),
        "text": {"ids": np.array([[3], [4]])},
        "present": {"audio": np.array([0, 0]), "text": np.array([0, 1])},
    }
    zeroed = zero_absent(x)
    np.testing.assert_array_equal(to_numpy(zeroed["audio"]), np.zeros((2, 2)))
    np.testing.assert_array_equal(to_numpy(zeroed["text"]["ids"]), [[0], [4]])
    with pytest.raises(ValueError, match="'smell'"):
        zero_absent({**x, "present": {"smell": np.ones(2)}})
    with pytest.raises(ValueError, match="must be a dict.*ndarray"):
        zero_absent({**x, "present": np.ones(2)})
    for wrong, shape in (np.ones((2, 3)), r"\(2, 3\)"), (None, "None"):
        x["present"] = {"audio": wrong}
        for function in (zero_absent, lambda x: presence(x, two_towers())):
            with pytest.raises(ValueError, match=f"one entry .*shape {shape}"):
                function(x)
    assert zero_absent(x["audio"]) is x["audio"]


def test_check_batch():
    x = {"audio": np.ones((3, 2)), "text": {"ids": np.ones((3, 1))}}
    check_batch(x, np.ones(3), np.ones((3, 1)))
    check_batch(np.ones((3, 2)))
    with pytest.raises(ValueError, match="'audio': 3, 'y': 2"):
        check_batch(x, np.ones(2))
    x["text"]["ids"] = np.ones((4, 1))
    with pytest.raises(ValueError, match="'text': 4"):
        check_batch(x)


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.sampled_from("abcdef"), min_size=1),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_picks_exactly_what_is_named(needed, given_names):
    inputs = {name: keras.Input((1,), name=name) for name in needed}
    outputs = layers.Concatenate()([*inputs.values(), *inputs.values()])
    model = keras.Model(inputs, outputs)
    x = {name: ord(name) for name in given_names}
    if needed <= given_names:
        assert select_modalities(x, model) == {n: ord(n) for n in needed}
    else:
        with pytest.raises(MissingModalityError):
            select_modalities(x, model)
