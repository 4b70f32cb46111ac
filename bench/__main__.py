"""`python -m bench quick | full | table | ROW...`: measure, or print what was measured."""

import sys

from bench import (
    eta,
    explain_speed,
    first_step,
    fuzz,
    import_speed,
    no_loss,
    operating_point,
    quality_cxr,
    quality_generation,
    quality_hippocampus,
    quality_nuclei,
    quality_nuclei_counts,
    quality_pneumoniamnist,
    readers,
    review_speed,
    screens,
    simulation,
    team,
    training_speed,
    viewer,
    volume_memory,
)
from bench.harness import Row, read_result, run_rows, table_of

ROWS: list[Row] = [
    *training_speed.ROWS,
    *first_step.ROWS,
    *eta.ROWS,
    *explain_speed.ROWS,
    *screens.ROWS,
    *team.ROWS,
    *viewer.ROWS,
    *import_speed.ROWS,
    *fuzz.ROWS,
    *no_loss.ROWS,
    *readers.ROWS,
    *quality_pneumoniamnist.ROWS,
    *quality_cxr.ROWS,
    *quality_nuclei.ROWS,
    *quality_nuclei_counts.ROWS,
    *quality_hippocampus.ROWS,
    *volume_memory.ROWS,
    *quality_generation.ROWS,
    *simulation.ROWS,
    *operating_point.ROWS,
    *review_speed.ROWS,
]


def main(words: list[str]) -> int:
    if words == ["table"]:
        print(table_of([result for row in ROWS if (result := read_result(row.name))]))
        return 0
    if words in (["quick"], ["full"]):
        chosen = [row for row in ROWS if row.pace == "quick" or words == ["full"]]
    else:
        by_name = {row.name: row for row in ROWS}
        unknown = [word for word in words if word not in by_name]
        if unknown or not words:
            print(f"Say quick, full, table or rows of: {', '.join(by_name)}. Received: {words}")
            return 2
        chosen = [by_name[word] for word in words]
    return 0 if run_rows(chosen, again=words not in (["quick"], ["full"])) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
