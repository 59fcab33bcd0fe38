"""One teacher on one batch: the arrays that are stored."""

import keras
import numpy as np

from keras_xkd.backend import no_gradient
from keras_xkd.data.fingerprint import fingerprint
from keras_xkd.data.fingerprint import hash_samples
from keras_xkd.utils import top_logits
from keras_xkd.utils.graph import output_structure
from keras_xkd.utils.graph import squashing_of
from keras_xkd.utils.modalities import modalities_of
from keras_xkd.utils.modalities import optional_of
from keras_xkd.utils.modalities import presence
from keras_xkd.utils.modalities import select_modalities
from keras_xkd.utils.modalities import zero_absent
from keras_xkd.utils.outputs import Outputs

DTYPES = ("float16", "float32")
# Columns beside the outputs of the teacher.
RESERVED = ("input_hash", "present", "sample_id")


class TeacherRun:
    """Runs a teacher in inference mode; says what it is and what it makes.

    Args:
        network: The teacher.
        outputs: The outputs to keep, None for all.
        dtype: Of floating outputs.
        top_k: How many logits to keep, None for all.
        version: What the user calls the preprocessing.
    """

    def __init__(self, network, outputs, dtype, top_k, version):
        check_arguments(network, outputs, dtype, top_k)
        self.network = network
        self.outputs = outputs
        self.dtype = dtype
        self.top_k = top_k
        self.readout = Outputs()
        self.reads = [*modalities_of(network), *optional_of(network)]
        self.bare = isinstance(output_structure(network), keras.KerasTensor)
        if outputs is None and self.bare:
            self._find_features()
        elif outputs is not None and "features" in outputs:
            self.readout.require(network, "features")
        self.fingerprint = fingerprint(
            network,
            version,
            reads=sorted(self.reads),
            outputs=outputs and sorted(outputs),
            dtype=dtype,
            top_k=top_k,
        )
        self.specs = None  # Known after the first batch.

    def _find_features(self):
        try:
            self.readout.require(self.network, "features")
        except ValueError:
            pass  # Not made like a classifier: there are the logits alone.

    def inputs(self, x):
        """What the teacher reads of a batch, as in a training step."""
        select_modalities(x, self.network)  # Says what is missing.
        own = {name: _arrays(x[name]) for name in self.reads if name in x}
        if "present" in x:
            masks = {n: m for n, m in x["present"].items() if n in own}
            own["present"] = _arrays(masks)
        return _arrays(zero_absent(own))

    def hashes(self, inputs):
        """The hash of what the teacher reads of each sample."""
        return hash_samples(inputs)

    def __call__(self, inputs, sample_id):
        """The columns of a batch, a dict of arrays `(batch, ...)`."""
        picked = select_modalities(inputs, self.network)
        found = self._run(picked)
        self._check_names(found)
        columns, specs = {}, {}
        for name in sorted(self.outputs or found):
            value = self._checked(name, found[name], sample_id)
            specs[name] = {
                "shape": list(value.shape[1:]),
                "dtype": str(value.dtype),
            }
            if name == "logits" and self.top_k is not None:
                specs[name]["top_k"] = self._checked_k(value.shape[-1])
                parts = top_logits.largest(value, self.top_k)
                for part, values in parts.items():
                    kind = value.dtype if part != "indices" else values.dtype
                    columns[f"{name}_{part}"] = values.astype(kind)
            else:
                columns[name] = value
        self._check_specs(specs)
        mask = presence(inputs, self.network)
        if mask is not None:
            columns["present"] = _arrays(mask).astype("float32")
        return columns

    def description(self):
        """What a `CachedTeacher` must know, for the manifest."""
        symbolic = self.readout.symbolic(self.network) or {}
        squashing = {n: squashing_of(symbolic.get(n)) for n in self.specs}
        return {
            "outputs": self.specs,
            "bare": self.bare and "logits" in self.specs,
            "squashing": {n: s for n, s in squashing.items() if s},
        }

    def _run(self, inputs):
        view = self.readout.view(self.network)
        if isinstance(view, keras.Model):
            found = view.predict_on_batch(inputs)
        else:
            found = no_gradient(view, inputs, training=False)
        if isinstance(found, (list, tuple)):
            raise ValueError(
                f"'{self.network.name}' returns {len(found)} tensors without "
                "names. Let it return one tensor, its logits, or a dict such "
                'as `{"logits": ..., "features": ...}`.'
            )
        if not isinstance(found, dict):
            self.bare, found = True, {"logits": found}
        return {name: _arrays(value) for name, value in found.items()}

    def _check_names(self, found):
        needed = {*(self.outputs or ()), *(["logits"] if self.top_k else ())}
        if needed - set(found):
            raise ValueError(
                f"`outputs` or `top_k` ask for {sorted(needed - set(found))}, "
                f"but '{self.network.name}' returns {sorted(found)}"
            )

    def _checked(self, name, value, sample_id):
        """One output as it is stored, or an error that names the samples."""
        if name in RESERVED:
            raise ValueError(
                f"An output of a teacher cannot be called '{name}'. Reserved: "
                f"{list(RESERVED)}"
            )
        if value.shape[:1] != sample_id.shape:
            raise ValueError(
                f"'{name}' of '{self.network.name}' must have a row for each "
                f"sample of a batch of {len(sample_id)}. Received: shape "
                f"{value.shape}"
            )
        if value.dtype.kind in "iub":
            return value
        value = np.asarray(value, "float32")
        self._check_finite(name, value, sample_id, "")
        with np.errstate(over="ignore"):
            stored = value.astype(self.dtype)
        advice = f' as {self.dtype}; use `dtype="float32"`'
        self._check_finite(name, stored, sample_id, advice)
        return stored

    def _check_finite(self, name, value, sample_id, advice):
        finite = np.isfinite(value.reshape(len(value), -1)).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"'{name}' of '{self.network.name}' must be finite{advice}. "
                f"Received: NaN or inf for sample_id "
                f"{sample_id[~finite][:10].tolist()}"
            )

    def _checked_k(self, classes):
        if self.top_k > classes:
            raise ValueError(
                f"`top_k` must be at most {classes}, the number of logits. "
                f"Received: top_k={self.top_k}"
            )
        return self.top_k

    def _check_specs(self, specs):
        if self.specs is None:
            self.specs = specs
        for name, spec in specs.items():
            if spec != self.specs.get(name):
                raise ValueError(
                    f"'{name}' of '{self.network.name}' must have the same "
                    "shape in every batch: pad what it reads to one length. "
                    f"Received: {spec['shape']}, before: "
                    f"{self.specs.get(name, {}).get('shape')}"
                )


def check_arguments(network, outputs, dtype, top_k):
    """Raises for what no teacher could be run with."""
    if not isinstance(network, keras.layers.Layer) or not network.built:
        raise ValueError(
            "`teacher` must be a built Keras network, or a dict of them by "
            f"role. Received: teacher={network!r}"
        )
    names = outputs if isinstance(outputs, (list, tuple)) else ()
    if outputs is not None and not names:
        raise ValueError(
            "`outputs` must be a list of names such as ['logits', 'features'], "
            f"or None for all. Received: outputs={outputs!r}"
        )
    if dtype not in DTYPES:
        raise ValueError(
            f"`dtype` must be one of {DTYPES}. Received: dtype={dtype!r}"
        )
    whole = isinstance(top_k, (int, np.integer)) and not isinstance(top_k, bool)
    if top_k is not None and (not whole or top_k < 1):
        raise ValueError(
            "`top_k` must be a positive integer, or None for all logits. "
            f"Received: top_k={top_k!r}"
        )
    if top_k is not None and outputs is not None and "logits" not in outputs:
        raise ValueError(
            "`top_k` is about logits, which `outputs` leaves out. Received: "
            f"top_k={top_k}, outputs={outputs}"
        )


def _arrays(value):
    """A nested dict of arrays; a list, such as one of texts, is one array."""
    if isinstance(value, dict):
        return {key: _arrays(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return np.asarray(value)
    return np.asarray(keras.ops.convert_to_numpy(value))
