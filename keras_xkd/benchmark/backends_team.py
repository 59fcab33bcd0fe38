"""Workers that do the same in turn."""

import math

import numpy as np

from keras_xkd.benchmark.backends_link import WorkerError
from keras_xkd.benchmark.table import number


class Team:
    """Workers that do the same, one after another; those who fail leave.

    Never two at once: each has the machine for itself. The turns are short and
    their order rotates, so that a machine that is slow for a while, or always
    at some point of the round, slows all of them alike.

    Args:
        workers: A dict `{backend: Worker}`.
        report: Called with a line about one who failed.
    """

    def __init__(self, workers, report=print):
        self.workers = workers
        self.report = report
        self.errors = {}
        self._turns = 0

    def each(self, action, told=None, **arguments):
        """Asks all in turn.

        Args:
            action: What to do.
            told: A function from an answer to a text, to report at once.
            **arguments: Of the action.

        Returns:
            A dict `{backend: answer}` without those who failed.
        """
        order = list(self.workers)
        start = self._turns % max(len(order), 1)
        self._turns += 1
        answers = {}
        for backend in order[start:] + order[:start]:
            try:
                answer = self.workers[backend].ask(action, **arguments)
            except WorkerError as error:
                self.errors[backend] = str(error)
                self.workers.pop(backend).close()
                self.report(f"  {error}\n  Going on without {backend}.")
                continue
            answers[backend] = answer
            if told:
                self.report(f"  {backend:<10} {told(answer)}")
        return answers

    def close(self):
        """Ends all of them."""
        for worker in self.workers.values():
            worker.close()


def train(team, case, seeds, options):
    """Trains one method and size from every seed, on all backends in turn.

    Args:
        team: A `Team`.
        case: A dict: `method`, `size`, and `plan`, a dict with the single
            steps (`curve`), the number of `turns`, the steps of a `turn`, the
            `batches` and the `tests`.
        seeds: The seeds.
        options: Further arguments of the worker's `prepare`.

    Returns:
        A dict `{backend: [answers by what was asked, a dict for each seed]}` of
        those who finished.
    """
    plan = case["plan"]
    work = {key: case[key] for key in ("method", "size")}
    work |= {key: plan[key] for key in ("batches", "tests")} | options
    found = {backend: [] for backend in team.workers}
    for seed in seeds:
        title = f"{case['method']}, {case['size']}, seed {seed}"
        turns = []
        team.report(f"{title}: making networks and data")
        made = team.each("prepare", seed=seed, **work)
        team.report(f"{title}: the first step, with compilation")
        told = "{seconds:.2f} s, loss {loss:.6g}".format_map
        steps = [team.each("train", told, steps=1)]
        for _ in range(plan["curve"] - 1):
            steps.append(team.each("train", steps=1))
        # Keras may have to prepare for batches that follow each other.
        team.each("train", steps=plan["turn"])
        for done in range(1, plan["turns"] + 1):
            turns.append(team.each("train", steps=plan["turn"]))
            if done % math.ceil(plan["turns"] / 4) == 0:
                team.report(f"{title}: {_progress(plan, turns, team.workers)}")
        end = team.each("evaluate")
        for backend in team.workers:
            answers = {
                "made": made[backend],
                "steps": [answer[backend] for answer in steps],
                "turns": [answer[backend] for answer in turns],
                "end": end[backend],
            }
            found[backend].append(answers)
    return {backend: found[backend] for backend in team.workers}


def _progress(plan, turns, backends):
    done, total = (plan["turn"] * n for n in (len(turns), plan["turns"]))
    times = []
    for backend in backends:
        median = np.median([turn[backend]["seconds"] for turn in turns])
        times.append(f"{backend} {number(1e3 * median / plan['turn'])}")
    return f"{done} of {total} steps, ms a step: {', '.join(times)}"
