"""The pages of the reference: one per area, with every public object."""

import griffe
import site_griffe

# Areas in the order of the site, and their objects in groups. What is named
# nowhere comes last: a new object is in the reference without a line here.
AREAS = {
    "distillers": {
        "Distillation with any loss": ["CrossModalDistiller"],
        "Published methods": [
            "AMID",
            "UMT",
            "UME",
            "choose_late_fusion",
            "MKE",
            "VideoAdviser",
            "ContrastivePretraining",
            "CMCD",
        ],
        "A method of your own": ["Distiller"],
    },
    "losses": {
        "Between predictions": [
            "SoftTargets",
            "DecoupledSoftTargets",
            "Matching",
        ],
        "Between features": [
            "FeatureMatching",
            "ContrastiveRepresentation",
            "InfoNCE",
            "RelationalDistance",
            "RelationalAngle",
            "ProbabilisticTransfer",
        ],
        "Between embeddings of two modalities": [
            "CrossModalContrast",
            "SimilarityDistribution",
            "NTXent",
        ],
    },
    "models": {
        "Encoders": [
            "image_encoder",
            "text_encoder",
            "audio_encoder",
            "video_encoder",
            "Encoder",
            "tap",
        ],
        "Networks": ["LateFusion", "PromptedCLIP", "LinearProbe"],
    },
    "layers": {
        "Parts of networks": [
            "ProjectionHead",
            "Fusion",
            "TokenPooling",
            "TemporalPooling",
            "LogMel",
            "PromptDecoder",
            "Discriminator",
            "GradientReversal",
        ],
        "Perturbations": [
            "ModalityDropout",
            "ScaledGaussianNoise",
            "SpecAugment",
            "TokenDropout",
        ],
        "A teacher that ran before": ["CachedTeacher"],
        "Memories of losses": ["ContrastiveMemory", "SimilarityQueue"],
    },
    "data": {
        "Loading": ["load"],
        "Teachers that run once": [
            "cache_teacher",
            "add_teacher_outputs",
            "cache_teacher_on_beam",
        ],
        "Views of arrays": [
            "few_labels",
            "hide_labels",
            "unlabelled",
            "missing",
            "degrade",
            "take",
        ],
    },
    "datasets": {
        "Small data that needs no download": [
            "av_digits.load_data",
            "av_digits.load_metadata",
            "two_moons.load_data",
            "latent_factors.load_data",
            "correlated_gaussians.load_data",
            "correlated_gaussians.shared_fraction",
            "gaussian_information.gaussian_mutual_information",
        ],
        "Corpora": [
            "PairedMedia",
            "AVMNIST",
            "CMUMOSEI",
            "CMUMOSI",
            "NYUDepthV2",
            "RAVDESS",
            "UCF101",
            "VEGAS",
        ],
        "Builders": [
            "builder",
            "builders",
            "MultimodalBuilder",
            "DataFileError",
        ],
        "Reading files": [
            "media.read_audio",
            "media.read_depth",
            "media.read_image",
            "media.read_text",
            "media.read_video",
            "media.has_audio",
        ],
    },
    "metrics": {
        "Of scores": [
            "PearsonCorrelation",
            "BinnedAccuracy",
            "SignAccuracy",
            "SignF1",
        ],
        "Of retrieval": ["RecallAtK", "RetrievalMAP"],
    },
    "diagnostics": {
        "Before distillation": [
            "modality_distance",
            "mutual_information",
            "complementarity",
        ],
        "After distillation": [
            "modality_subsets",
            "deployment_report",
            "compare_seeds",
        ],
    },
    "visualization": {},
    "callbacks": {},
    "utils": {},
}
# Not exported, but what many docstrings point at: where it is, and the area.
BASES = {"keras_xkd.losses.comparison.Comparison": "losses"}
FUNCTIONS, OTHERS = "As functions", "More"


def load(folder) -> griffe.Module:
    """Reads the package from its source; nothing is imported."""
    extensions = griffe.load_extensions(site_griffe.PublicNames)
    return griffe.load(
        "keras_xkd",
        search_paths=[folder],
        extensions=extensions,
        allow_inspection=False,
    )


def area_of(name) -> str:
    return name.split(".")[1]


def areas(names) -> list[str]:
    """The areas of these public names, in the order of the site."""
    found = {area_of(name) for name in names}
    return [a for a in AREAS if a in found] + sorted(found - set(AREAS))


def groups(area, names) -> dict[str, list[str]]:
    """`{title: public names}` of an area, each name in one group."""
    left = [n for n in names if area_of(n) == area]
    found = {}
    for title, members in AREAS.get(area, {}).items():
        chosen = [f"keras_xkd.{area}.{member}" for member in members]
        found[title] = [name for name in chosen if name in left]
        left = [name for name in left if name not in found[title]]
    # Twins of losses and metrics are functions in lower case.
    twins = [
        n
        for n in left
        if found and area in ("losses", "metrics") and n.split(".")[2].islower()
    ]
    found[FUNCTIONS] = twins
    found[OTHERS] = [name for name in left if name not in twins]
    found["Base class"] = [n for n, where in BASES.items() if where == area]
    return {title: members for title, members in found.items() if members}


def first_sentence(obj) -> str:
    text = obj.docstring.value if obj.docstring else ""
    return text.strip().split("\n\n")[0].replace("\n", " ")


def area_page(package, area, names) -> str:
    """The page of an area: what is in it, then everything about each."""
    module = package.members[area]
    found = groups(area, names)
    parts = [f"# keras_xkd.{area}", module.docstring.value]
    for title, members in found.items():
        head = title if len(found) > 1 else "Name"
        lines = [f"| {head} | |", "|---|---|"]
        for name in members:
            obj = package[name.removeprefix("keras_xkd.")]
            link = f"[`{short(name)}`][{name}]"
            lines.append(f"| {link} | {first_sentence(obj)} |")
        table = "\n".join(lines)
        parts.append(f'<div class="summary" markdown>\n\n{table}\n\n</div>')
    for title, members in found.items():
        parts.append(f"## {title}" if len(found) > 1 else "")
        parts += [symbol(name) for name in members]
    return "\n\n".join(part for part in parts if part) + "\n"


def short(name) -> str:
    """The name within its area."""
    if name in BASES:
        return name.rpartition(".")[2]
    return name.split(".", 2)[2]


def symbol(name) -> str:
    return "\n".join(
        [
            f"::: {name}",
            "    options:",
            f"      heading: {short(name)}",
            f"      toc_label: {short(name)}",
            "      heading_level: 3",
        ]
    )


def index_page(package, names) -> str:
    """Everything public on one page, by area."""
    parts = [
        "# Reference",
        "Every public class and function, with its arguments and an example. "
        "`import keras_xkd` imports all areas.",
    ]
    for area in areas(names):
        what = first_sentence(package.members[area])
        own = [n for group in groups(area, names).values() for n in group]
        links = [f"[`{short(n)}`][{n}]" for n in own]
        parts += [f"## [{area}]({area}.md)", what, " · ".join(links)]
    return "\n\n".join(parts) + "\n"


def pages(package) -> dict[str, str]:
    """`{path in the site: Markdown}` of the reference."""
    objects = site_griffe.public_objects(package)
    found = {"reference/index.md": index_page(package, list(objects))}
    for area in areas(objects):
        found[f"reference/{area}.md"] = area_page(package, area, list(objects))
    return found
