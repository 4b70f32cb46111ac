"""Which of several quantities is looked at, where a project asks for more than one."""

import streamlit as st

from core.projects.schema import Quantity, Regression


def choose_quantity(schema: Regression, key: str) -> Quantity:
    """The quantity that is shown; the first to begin with."""
    by_name = {one.target: one for one in schema.quantities}
    name = st.segmented_control(
        "Quantity", list(by_name), default=schema.target, required=True, key=key, label_visibility="collapsed"
    )
    return by_name[str(name)]
