"""Prediction: what a model says of files that need not be imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="predict",
    words="Prediction",
    lane="work",
    action="open test results",
    attempts_allowed=3,
    remedy="Predict fewer files at a time, or close other programs, then resume.",
    opens_files=True,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Predict files that need not be imported; the result, which is kept, knows them by tokens."""
    from core.errors import InvalidInput
    from core.evaluation.abstention import find_rule, withheld_by_scores
    from core.evaluation.predict_files import predict_files
    from core.images.pseudonyms import load_secret, path_token
    from core.images.sealed_paths import keep_paths, unnamed, unseal_arguments
    from core.training.records import get_model

    given = unseal_arguments(context.settings, context.job.arguments)
    model = get_model(context.connection, None, int(given["model"]))
    paths = [Path(path) for path in given["paths"]]
    try:
        result = predict_files(
            context.files, context.settings, model, paths, context.progress, context.folder / "masks"
        )
    except InvalidInput as error:  # the job's row keeps the sentence
        raise InvalidInput(unnamed(str(error), given)) from None
    rule = find_rule(context.connection, model.id)
    for row in result["cases"]:
        if row.keys() & {"probabilities", "value", "numbers"}:
            row["withheld"] = withheld_by_scores(model, rule, _scores_of(row))
    secret = load_secret(context.settings)
    tokens = {row["path"]: path_token(secret, row["path"]) for row in result["cases"]}
    keep_paths(context.settings, context.job.id, {token: path for path, token in tokens.items()})
    return {**result, "cases": [{**row, "path": tokens[row["path"]]} for row in result["cases"]]}


def _scores_of(row: Mapping[str, Any]) -> list[float]:
    """What the model says of a file: the probabilities of classes, or its numbers."""
    if "probabilities" in row:
        return list(row["probabilities"].values())
    return [one["value"] for one in row.get("numbers", [row])]
