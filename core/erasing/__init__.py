"""Erasing: a case, a patient or a project with every trace of it, planned first, then done."""
