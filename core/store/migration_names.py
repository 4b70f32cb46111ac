"""The names of all steps in their order, for whoever only asks whether one is missing: the steps themselves bring
sqlite-utils along, and that pandas, half a second of every start."""

MIGRATION_NAMES = (
    "m001_the_loop",
    "m002_a_team",
    "m003_the_viewer",
    "m004_kept_numbers",
    "m005_deidentified",
    "m006_pacs",
    "m007_masks",
    "m008_runs_explain_themselves",
    "m009_watched_cases_and_why",
    "m010_synthetic_cases",
    "m011_evidence",
    "m012_reviews",
    "m013_new_cases",
)
