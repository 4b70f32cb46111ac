"""The HTTP interface (`/api/v1/...`), one file per subject. Each offers `routes(settings)`."""
