"""Measurements repeated for many seeds: resumed, never run twice."""

import json
import pathlib
import time

import keras
import numpy as np

from keras_xkd.benchmark import record


class Study:
    """One benchmark, whose results are on disk after every seed.

    A second run with the same settings, backend and versions takes the seeds
    that are already there from the file.

    Args:
        name: Name of the benchmark, and of its JSON file.
        output: Folder of the file.
        settings: A dict of all that the numbers depend on beside the seed.
        arguments: The arguments of the command, for the record.
    """

    def __init__(self, name, output, settings, arguments=()):
        self.path = pathlib.Path(output) / f"{name}.json"
        # As it will be read again: tuples become lists, keys strings.
        self.settings = json.loads(json.dumps(settings))
        self.arguments = arguments
        self.by_seed = {}
        self.seeds = []

    def measure(self, seeds, one_seed, report=print):
        """The results of `one_seed(seed)` for every seed, a list of dicts."""
        self.seeds = list(seeds)
        self.by_seed = self._read()
        known = [seed for seed in self.seeds if str(seed) in self.by_seed]
        if known:
            report(f"{len(known)} of {len(self.seeds)} seeds: {self.path}")
        for place, seed in enumerate(self.seeds, 1):
            if seed in known:
                continue
            start = time.monotonic()
            self.by_seed[str(seed)] = one_seed(seed)
            self.write()
            seconds = time.monotonic() - start
            report(f"seed {seed} ({place}/{len(self.seeds)}): {seconds:.1f} s")
        return [self.by_seed[str(seed)] for seed in self.seeds]

    def measure_together(self, seeds, several, report=print):
        """The same for what trains all seeds at once.

        Args:
            seeds: The seeds.
            several: A function from seeds to a list with a result for each.
            report: Called with a line.
        """
        self.seeds = list(seeds)
        self.by_seed = self._read()
        missing = [seed for seed in self.seeds if str(seed) not in self.by_seed]
        if len(missing) < len(self.seeds):
            known = len(self.seeds) - len(missing)
            report(f"{known} of {len(self.seeds)} seeds: {self.path}")
        if missing:
            found = zip(map(str, missing), several(missing), strict=True)
            self.by_seed |= dict(found)
            self.write()
        return [self.by_seed[str(seed)] for seed in self.seeds]

    def write(self, **results):
        """Writes the file: everything measured so far, and `results`."""
        content = {
            "settings": self.settings,
            **results,
            "by_seed": self.by_seed,
        }
        return record.write(self.path, content, self.arguments, self.seeds)

    def _read(self):
        if not self.path.exists():
            return {}
        found = json.loads(self.path.read_text())
        wanted = {"settings": self.settings, **record.environment()}
        if any(found.get(key) != value for key, value in wanted.items()):
            return {}
        return found["by_seed"]


class Restart:
    """Trains one compiled model from many seeds without compiling it again.

    Args:
        model: A compiled model that was not trained yet.
    """

    def __init__(self, model):
        self.model = model
        model.optimizer.build(model.trainable_variables)
        self.optimizer = [_copy(v) for v in model.optimizer.variables]

    def __call__(self, fresh):
        """Takes over the state of `fresh`, a new model of the same kind."""
        # Without the weights of loss terms, which only a compiled distiller
        # has.
        variables = keras.Model.variables.fget
        pairs = zip(variables(self.model), variables(fresh), strict=True)
        for variable, other in pairs:
            variable.assign(_copy(other))
        pairs = zip(self.model.optimizer.variables, self.optimizer, strict=True)
        for variable, value in pairs:
            variable.assign(value.copy())
        return self.model


class Restarts:
    """Models that are compiled once each, and then start from many seeds.

    Args:
        compile: A function that compiles a model.
    """

    def __init__(self, compile):
        self.compile = compile
        self.by_key = {}

    def __call__(self, key, make, seed):
        """The model `key`, as `make()` is with the random numbers of `seed`."""
        keras.utils.set_random_seed(seed)
        model = make()
        if key in self.by_key:
            return self.by_key[key](model)
        self.compile(model)
        self.by_key[key] = Restart(model)
        return model


def _copy(variable):
    # A backend may share the memory of what it is given, and overwrite it.
    return np.array(keras.ops.convert_to_numpy(variable))
