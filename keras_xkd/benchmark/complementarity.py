"""Does the complementarity hypothesis tell help from harm?

`keras_xkd.diagnostics.complementarity` says, before any distillation, whether a
student is expected to gain from a teacher. Here the gain is measured too, on
problems whose views share more and more of what decides the label: linear
softmax classifiers, trained and distilled exactly as in `gaussians`. The
estimates come from the logits of teacher and student on the test samples; the
literal inequality compares the two views, which are the features of a linear
classifier.

The first family of problems is that of `gaussians`, on which the comparison of
decisions was chosen. The others were not used for that.
"""

import numpy as np

from keras_xkd.benchmark import gaussians
from keras_xkd.benchmark import record
from keras_xkd.benchmark.rows import columns
from keras_xkd.benchmark.statistics import compare
from keras_xkd.benchmark.study import Study
from keras_xkd.benchmark.table import interval
from keras_xkd.benchmark.table import table
from keras_xkd.datasets import correlated_gaussians
from keras_xkd.datasets import latent_factors
from keras_xkd.diagnostics import complementarity
from keras_xkd.visualization import canvas

FEW, SAMPLES, TEST = 50, 150, 1000
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDES = {"better": ">", "worse": "<", "unclear": "~"}
GAINS = gaussians.WORDS
COLORS = (canvas.BLUE, canvas.GREEN, canvas.ORANGE, canvas.PURPLE)


def few(overlap, seeds):
    """The Gaussians with a quarter of the training samples."""
    (x, y), test = gaussians.load(overlap, seeds)
    return ({view: array[:FEW] for view, array in x.items()}, y[:FEW]), test


def factors(share, seeds, noise):
    """A student whose own label information does not depend on `share`.

    It knows factors with 60 % of the label's variance; a part `share` of these
    is common with the teacher, who knows the other 40 % as well.
    """
    data = [
        latent_factors.load_data(
            SAMPLES + TEST,
            dims={"teacher": 16, "student": 16},
            noise={"teacher": noise, "student": 1.0},
            label_share={
                "shared": 0.6 * share,
                "student": 0.6 - 0.6 * share,
                "teacher": 0.4,
            },
            label_noise=0.2,
            seed=seed,
        )
        for seed in seeds
    ]
    x = {v: np.stack([d.x[v] for d in data], 1) for v in data[0].x}
    y = np.stack([d.y for d in data], 1)
    return [
        ({view: array[rows] for view, array in x.items()}, y[rows])
        for rows in (slice(SAMPLES), slice(SAMPLES, None))
    ]


# Each has a function `(parameter, seeds) -> train, test`, and its parameters
# with the share that they stand for.
OVERLAPS = {o: correlated_gaussians.shared_fraction(o) for o in range(0, 11, 2)}
FAMILIES = {
    "Gaussians, 200 samples": (gaussians.load, OVERLAPS),
    "Gaussians, 50 samples": (few, OVERLAPS),
    "factors, good teacher": (
        lambda share, seeds: factors(share, seeds, noise=0.3),
        {share: share for share in SHARES},
    ),
    "factors, poor teacher": (
        lambda share, seeds: factors(share, seeds, noise=1.0),
        {share: share for share in SHARES},
    ),
}


def logits(model, x):
    """Log-odds of the second class, `(samples, seeds, 1)`."""
    values = gaussians.predict(model, x)
    return values[..., 1:] - values[..., :1]


def one_problem(train, test, steps):
    """Gains and both sides of the inequality, one number per seed."""
    (x, y), (x_test, y_test) = train, test
    teacher = gaussians.train("teacher", x, y, steps)
    alone = gaussians.train("student", x, y, steps)
    distilled = gaussians.distil(teacher, x, y, steps)
    decisions = logits(teacher, x_test), logits(alone, x_test)
    result = {
        "gain": gaussians.accuracy(distilled, x_test, y_test)
        - gaussians.accuracy(alone, x_test, y_test)
    }
    for way, (of_teacher, of_student) in {
        "features": (x_test["teacher"], x_test["student"]),
        "decisions": decisions,
    }.items():
        found = [
            complementarity(of_teacher[:, i], of_student[:, i], labels, way)
            for i, labels in enumerate(y_test.T)
        ]
        result[f"{way}_left"] = [f.teacher_student for f in found]
        result[f"{way}_right"] = [f.student_labels for f in found]
        result[f"{way}_verdicts"] = [f.verdict for f in found]
    return {key: np.asarray(value).tolist() for key, value in result.items()}


def measure(seeds, steps, problems=None, report=print):
    """A list with a dict for each problem; `problems` of each family."""
    results = []
    for family, (load, parameters) in FAMILIES.items():
        for parameter, share in list(parameters.items())[:problems]:
            found = one_problem(*load(parameter, seeds), steps)
            results.append({"family": family, "share": share, **found})
            report(f"{family}, share {share:.2f}: {len(seeds)} seeds done")
    return results


def judge(results):
    """Gain, both sides and agreement for each problem, by the mean."""
    rows = []
    for r in results:
        row = {k: r[k] for k in ("family", "share")}
        gain = row["gain"] = compare(r["gain"], np.zeros(len(r["gain"])))
        for way in ("features", "decisions"):
            left, right = r[f"{way}_left"], r[f"{way}_right"]
            found = compare(left, right)
            verdicts = {gain["verdict"], found["verdict"]}
            agreement = "agrees" if len(verdicts) == 1 else "contradicts"
            row[way] = {
                **found,
                "left": float(np.mean(left)),
                "right": float(np.mean(right)),
                "agreement": "open" if "unclear" in verdicts else agreement,
                "verdicts": {
                    word: r[f"{way}_verdicts"].count(word)
                    for word in ("help", "unclear", "not")
                },
            }
        rows.append(row)
    return rows


def text(rows):
    """The table, and how often each reading agrees with the gain."""
    lines = []
    for row in rows:
        sides = [
            f"{row[way]['left']:.2f} {SIDES[row[way]['verdict']]} "
            f"{row[way]['right']:.2f}"
            for way in ("features", "decisions")
        ]
        single = row["decisions"]["verdicts"].values()
        lines.append(
            [
                row["family"],
                f"{row['share']:.2f}",
                f"{row['gain']['mean']:+.2f}",
                interval(row["gain"], 2, sign=True),
                GAINS[row["gain"]["verdict"]],
                *sides,
                " / ".join(map(str, single)),
            ]
        )
    header = ["problem", "shared", "gain", "95 % interval", "teacher"]
    header += ["features", "decisions", "help / unclear / not"]
    parts = [
        table(header, lines),
        "",
        f"Gain in points of test accuracy, {rows[0]['gain']['n']} paired "
        "seeds. Both sides in nats, I(teacher; student) and I(student; "
        "labels), means over the seeds; ~ if they do not differ significantly. "
        "The last column counts the verdicts on decisions of single seeds.",
    ]
    for way in ("features", "decisions"):
        found = [row[way]["agreement"] for row in rows]
        counts = [f"{found.count(w)} {w}" for w in sorted(set(found))]
        parts.append(f"Of {len(rows)} problems, {way}: {', '.join(counts)}.")
    return "\n".join(parts)


def draw(rows, path):
    """The gain over the difference of both sides, on decisions."""
    figure, axis = canvas.new(size=(7, 4.6))
    axis.axhline(0, color=canvas.GREY, linewidth=1)
    axis.axvline(0, color=canvas.GREY, linewidth=1)
    for color, family in zip(COLORS, FAMILIES):
        own = [row for row in rows if row["family"] == family]
        for row in own:
            x, y = row["decisions"], row["gain"]
            if y["low"] is not None:
                for points in (
                    ([x["mean"]] * 2, [y["low"], y["high"]]),
                    ([x["low"], x["high"]], [y["mean"]] * 2),
                ):
                    axis.plot(*points, color=color, linewidth=1, alpha=0.5)
        points = [[r[k]["mean"] for r in own] for k in ("decisions", "gain")]
        axis.plot(*points, "o", color=color, label=family)
    axis.set_xlabel(
        "I(teacher; student) - I(student; labels), decisions (nats)"
    )
    axis.set_ylabel("gain of the student (points)")
    axis.set_title(
        "Where the left side is larger, the teacher should help\n"
        f"{rows[0]['gain']['n']} seeds, means and 95 % intervals",
        fontsize=11,
        loc="left",
    )
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="lower right")
    return canvas.save(figure, path)


def run(seeds, output, quick=False, arguments=()):
    """Measures, prints the table and writes JSON and a picture.

    Args:
        seeds: List of seeds.
        output: Folder for `complementarity.json` and `complementarity.png`.
        quick: A smoke run of one problem per family and 10 steps.
        arguments: The arguments of the command, for the record.
    """
    canvas.check_matplotlib()
    steps = 10 if quick else gaussians.STEPS
    problems = 1 if quick else None
    settings = {"steps": steps, "problems": problems}
    study = Study("complementarity", output, settings, arguments)
    constant = ("family", "share")

    def several(seeds):
        found = measure(seeds, steps, problems)
        return [
            [
                {k: v if k in constant else v[i] for k, v in r.items()}
                for r in found
            ]
            for i in range(len(seeds))
        ]

    by_seed = study.measure_together(seeds, several)
    results = [
        {k: v[0] if k in constant else v for k, v in columns(list(own)).items()}
        for own in zip(*by_seed)
    ]
    rows = judge(results)
    print(f"\n{text(rows)}\n{record.describe()}\n")
    written = study.write(rows=rows)
    path = f"{output}/complementarity"
    print(f"Wrote {written} and {draw(rows, f'{path}.png')}")
    return rows
