"""Opens presets of keras-hub: names, local folders, Hugging Face folders."""

import difflib
import importlib.util
import json
import os
import pathlib
import socket
import urllib.request

from keras_xkd.models.clip_parts import import_keras_hub

# Files that say that a folder brings the preprocessing of a kind of data,
# whether keras-hub or Hugging Face has written it.
_FILES = {
    "text": ("*token*", "*vocab*", "*.model"),
    "image": ("image_converter.json", "*processor*.json"),
    "audio": ("audio_converter.json", "*processor*.json"),
    "video": ("*_converter.json", "*processor*.json"),
}


def open_backbone(preset):
    """The backbone of a preset; whatever is no name or path comes back.

    Args:
        preset: A name of keras-hub such as `"bert_tiny_en_uncased"`, a handle
            such as `"hf://google/vit-base-patch16-224"`, the path of a folder
            that `save_to_preset` has written, or the path of a folder in the
            layout of Hugging Face (`config.json`, `model.safetensors`, ...).
            A folder goes before a name.

    Returns:
        A backbone of keras-hub.

    Raises:
        FileNotFoundError: If there is no such preset, or a file is missing.
        ValueError: If a file is unusable.
        ConnectionError: If the preset is elsewhere and cannot be had.
    """
    if not is_preset(preset):
        return preset
    place = _locate(preset)
    if isinstance(place, pathlib.Path):
        _check_folder(place)
    return _open(import_keras_hub().models.Backbone, place, preset)


def open_preprocessing(preset, kind):
    """The tokenizer or converter of a preset, or None where it has none.

    Args:
        preset: As for `open_backbone`.
        kind: `"text"`, `"image"`, `"audio"` or `"video"`.
    """
    hub = import_keras_hub()
    place = _locate(preset)
    opener = {
        "text": hub.models.Tokenizer,
        "image": hub.layers.ImageConverter,
        "audio": hub.layers.AudioConverter,
        "video": hub.layers.ImageConverter,  # Over frames.
    }[kind]
    if isinstance(place, pathlib.Path):
        if not any(f for form in _FILES[kind] for f in place.glob(form)):
            return None
        if kind == "video" and (place / "video_converter.json").exists():
            opener = hub.layers.VideoConverter
    # What is prepared in half precision would reach the encoder rounded.
    options = {} if kind == "text" else {"dtype": "float32"}
    return _open(opener, place, preset, **options)


def why_no_preprocessing(preset, kind):
    """Why an encoder has no preprocessor, for an error."""
    if preset is None:
        return "it was made from a backbone, not from a preset"
    file = "tokenizer.json" if kind == "text" else f"{kind}_converter.json"
    return f"there is no {file} in the preset '{preset}'"


def is_preset(backbone):
    """Whether a backbone is given by its name or path."""
    return isinstance(backbone, (str, os.PathLike))


def _locate(preset):
    """A path where the preset is a folder, else a name or handle."""
    preset = os.path.expanduser(os.fspath(preset))
    folder = pathlib.Path(preset).absolute()
    if folder.is_dir():
        return folder
    scheme, found, handle = preset.partition("://")
    if found and scheme == "hf":
        return _hugging_face(handle) or preset
    names = import_keras_hub().models.Backbone.presets
    if found or preset in names:
        return preset
    close = difflib.get_close_matches(preset, names)
    raise FileNotFoundError(
        f"There is neither a folder '{folder}' nor a preset of keras-hub with "
        f"the name '{preset}'."
        + (f" Similar names: {', '.join(close)}." if close else "")
        + " A model on Hugging Face is written 'hf://owner/name', one on "
        "Kaggle 'kaggle://owner/model/keras/variation'."
    )


def _hugging_face(handle):
    """The folder in the local cache if the site is out of reach, or None.

    Asked for a model without a network, huggingface_hub tries again for half
    a minute before it gives up.
    """
    site = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if urllib.request.getproxies() or os.environ.get("HF_HUB_OFFLINE"):
        return None
    parts = urllib.request.Request(site)
    host, _, port = parts.host.partition(":")
    port = int(port or (443 if parts.type == "https" else 80))
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        try:
            from huggingface_hub import snapshot_download

            return pathlib.Path(
                snapshot_download(handle, local_files_only=True)
            )
        except Exception:  # Not in the cache, or no such package.
            raise _out_of_reach(f"hf://{handle}", site, error) from error
    return None


def _out_of_reach(preset, where, error):
    name = os.path.basename(preset)
    return ConnectionError(
        f"The preset '{preset}' could not be opened: its first file, "
        f"config.json, was looked for at {where}, without success "
        f"({type(error).__name__}: {error}); there is no folder of that name "
        "either. Without a network, pass the path of a folder. To make one, "
        "run on a machine with a network\n"
        "    import keras_hub\n"
        f'    backbone = keras_hub.models.Backbone.from_preset("{preset}")\n'
        f'    backbone.save_to_preset("{name}")\n'
        f'    tokenizer = keras_hub.models.Tokenizer.from_preset("{preset}")\n'
        f'    tokenizer.save_to_preset("{name}")\n'
        "(for images and sound `keras_hub.layers.ImageConverter` or "
        "`AudioConverter` instead of the tokenizer), and copy the folder here."
    )


def _check_folder(folder):
    """Raises unless the files of a backbone are all there."""
    config = _read(folder, "config.json")
    if "registered_name" in config:
        single, index = "model.weights.h5", "model.weights.json"
    elif "model_type" in config or "architecture" in config:
        single, index = "model.safetensors", "model.safetensors.index.json"
        if importlib.util.find_spec("safetensors") is None:
            raise ImportError(
                f"The folder '{folder}' has the layout of Hugging Face; to "
                "read its weights install `safetensors`: "
                "`pip install safetensors`.",
                name="safetensors",
            )
    else:
        raise ValueError(
            f"'{folder / 'config.json'}' describes no model: it has neither "
            "`registered_name` (keras-hub) nor `model_type` (Hugging Face). "
            f"Received: the entries {sorted(config)}"
        )
    if (folder / single).exists():
        return
    if not (folder / index).exists():
        there = ", ".join(sorted(p.name for p in folder.iterdir()))
        raise FileNotFoundError(
            f"The preset '{folder}' has no weights: there is neither {single} "
            f"nor {index}. Received: a folder with {there}"
        )
    shards = _read(folder, index).get("weight_map", {}).values()
    names = {n for s in shards for n in (s if isinstance(s, list) else [s])}
    missing = sorted(n for n in names if not (folder / n).exists())
    if missing:
        raise FileNotFoundError(
            f"The preset '{folder}' misses {', '.join(missing)}, which {index} "
            "names."
        )


def _read(folder, name):
    path = folder / name
    if not path.exists():
        there = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise FileNotFoundError(
            f"The preset '{folder}' has no {name}. Received: a folder with "
            f"{there}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is no valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: {type(content)}"
        )
    return content


def _open(opener, place, preset, **options):
    """`opener.from_preset` with errors that say what to do."""
    try:
        return opener.from_preset(str(place), **options)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        if isinstance(place, pathlib.Path):
            raise _unusable(opener, place, error) from error
        if isinstance(error, OSError) or "config.json" in str(error):
            names = import_keras_hub().models.Backbone.presets
            where = names.get(place, {}).get("kaggle_handle", place)
            raise _out_of_reach(str(preset), where, error) from error
        raise


def _unusable(opener, folder, error):
    """An error that names the folder, and the way out if there is one."""
    missing = isinstance(error, FileNotFoundError)
    kind = FileNotFoundError if missing else ValueError
    advice = ""
    if "no converter" in str(error):
        advice = (
            " keras-hub cannot read this kind of model from a folder of "
            "Hugging Face. Take the preset of keras-hub instead: its names "
            "are in `keras_hub.models.Backbone.presets`; open it on a machine "
            "with a network, call `save_to_preset(folder)` and pass the folder."
        )
    elif importlib.util.find_spec("tensorflow") is None:
        advice = (
            " Some tokenizers of keras-hub, CLIP's for one, need TensorFlow, "
            "which is not installed, on every backend: `pip install "
            "tensorflow-text`."
        )
    return kind(
        f"The {opener.__name__.lower()} of the preset '{folder}' could not be "
        f"opened: {type(error).__name__}: {error}{advice}"
    )
