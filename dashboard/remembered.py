"""What several tabs of Evaluate read of a split, kept while somebody looks at it: stored answers, attributes."""

import streamlit as st

from core.datasets.records import get_snapshot
from core.evaluation.operating import Scored, read_scored
from core.evaluation.subgroups import read_attributes
from core.training.records import get_model
from dashboard import session


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def scored(home: str, model_id: int, snapshot_id: int, split: str, erased: int) -> Scored:
    """What a model says of a split; raises as `read_scored`. Home and erased cases are only what it is kept by."""
    model = get_model(session.db(), None, model_id)
    return read_scored(session.db(), model, get_snapshot(session.db(), model.project, snapshot_id), split)


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def attributes(home: str, snapshot_id: int, split: str, case_ids: tuple[int, ...]) -> dict[str, list[str]]:
    """What is known of the cases beside their pixels."""
    return read_attributes(session.db(), case_ids)
