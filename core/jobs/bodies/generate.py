"""Generation: a model draws images, each marked as synthetic."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="generate",
    words="Drawing",
    lane="work",
    action="train",
    attempts_allowed=3,
    remedy="Draw fewer images at a time, or close other programs, then resume.",
)
FOLDER = "drawn"  # in the job's folder


def run(context: "JobContext") -> Mapping[str, Any]:
    """Draw what was asked for into the job's folder, a PNG for each image and one `drawn.json` of all."""
    context.progress.report(context.job.fraction, "Starting")  # loading the network takes seconds
    from core.images.synthetic_mark import SYNTHETIC
    from core.store.files import write_whole
    from core.training.drawn import Wanted, check_wanted, conditions_of, draw_with
    from core.training.keeping import DRAWN
    from core.training.records import get_model
    from core.training.samples import picture_of, png_of

    given = context.job.arguments
    model = get_model(context.connection, None, int(given["model"]))
    wanted, n, seed = Wanted(given["class"], given.get("sex"), given.get("age")), int(given["n"]), int(given["seed"])
    check_wanted(model, wanted, n)
    images = draw_with(
        context.connection, context.files, model, conditions_of(model, [wanted] * n), context.progress, seed=seed
    )
    told = {
        "model": model.name,
        "model_hash": model.keras_hash,
        "project": model.project,
        "wanted": wanted.to_json(),
        "seed": seed,
    }
    folder = context.folder / FOLDER
    rows = []
    for at, image in enumerate(images):
        name = f"synthetic-{seed}-{at:04}.png"
        marked = {"Model": model.name, "Model hash": model.keras_hash, "Seed": f"{seed}, place {at}"}
        write_whole(folder / name, png_of(image, {**marked, "Drawn for": json.dumps(wanted.to_json())}))
        # By its pixels an import knows it again that lost its mark (`core.images.records.set_of_drawn`).
        rows.append({"file": name, "place": at, "pixel_hash": context.files.hash_array(picture_of(image))})
    document = {"synthetic": True, "mark": SYNTHETIC, **told, "images": rows}
    write_whole(folder / DRAWN, json.dumps(document, indent=1).encode())
    return document
