"""Links that change the page in place, so that the browser's "back" returns to what was there.

A link inside HTML (a thumbnail, a name in a table) would make the browser load the whole
application again, and Streamlit's own links write the new query into the old page's history
entry, so that "back" forgets the filters. One small component catches plain clicks on both
and goes the way of "back" and "forward" itself: a history entry and the event that Streamlit
listens to. The links stay ordinary addresses: a middle click opens a tab, a copied one works.
"""

import streamlit as st

from dashboard import places
from dashboard.prefix import at

_CATCHER = """
const names = new Set(%s)
let root = "/"

function follow(event) {
  const link = event.target.closest ? event.target.closest("a[href]") : null
  if (!link || event.defaultPrevented || event.button !== 0) return
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.hasAttribute("download")) return
  const url = new URL(link.href)
  if (url.origin !== window.location.origin || !url.pathname.startsWith(root)) return
  if (!names.has(url.pathname.slice(root.length))) return
  event.preventDefault()
  event.stopPropagation()
  window.history.pushState({}, "", url.pathname + url.search)
  window.dispatchEvent(new PopStateEvent("popstate", { state: {} }))
}

export default function ({ data }) {
  root = data.root
  document.addEventListener("click", follow, true)
  return () => document.removeEventListener("click", follow, true)
}
"""
_NAMES = ["", *(place.name for place in places.PLACES[1:])]
_component = st.components.v2.component("readroom_links", js=_CATCHER % _NAMES, isolate_styles=False)


def catch_clicks() -> None:
    """Once per rerun, by the shell."""
    _component(key="links", data={"root": at("/")}, height=1)
