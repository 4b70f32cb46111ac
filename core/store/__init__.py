"""The ground floor: SQLite, files addressed by their content, and the audit trail."""
