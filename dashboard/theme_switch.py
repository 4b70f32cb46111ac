"""Dark or light: two buttons in the sidebar. The choice stays in the browser (`assets/theme.js`)."""

import streamlit as st

from dashboard import places
from dashboard.prefix import at

_HTML = """<div class="switch" role="group" aria-label="Colours of the screen">
<button type="button" data-theme="dark" disabled>Dark</button>
<button type="button" data-theme="light" disabled>Light</button></div>"""
_CSS = """
.switch { display: flex; gap: 2px; padding: 2px; border-radius: 7px;
  border: 1px solid var(--st-border-color); width: max-content; }
button { font: 500 0.75rem/1.3 var(--st-font); background: none; border: 0; border-radius: 5px;
  padding: 2px 10px; cursor: pointer; color: var(--st-text-color); }
button:hover { background: color-mix(in srgb, var(--st-text-color) 10%, transparent); }
button[aria-pressed="true"] { background: color-mix(in srgb, var(--st-primary-color) 22%, transparent); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
"""
_JS = """
export default async function ({ parentElement, data }) {
  await import(new URL(data.script, window.location.origin).href)
  const theme = window.readroomTheme
  theme.apply(data.pages)
  theme.paint()
  const app = document.querySelector("[data-testid=stApp]")
  if (app) theme.insist(getComputedStyle(app).colorScheme)
  for (const button of parentElement.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.theme === theme.chosen()))
    button.onclick = () => theme.choose(button.dataset.theme, data.pages)
    button.disabled = false // until here a press would have done nothing
  }
}
"""
_component = st.components.v2.component("readroom_theme", html=_HTML, css=_CSS, js=_JS, isolate_styles=True)


def draw_theme_switch() -> None:
    """Choosing loads the page anew; the address keeps the view, and unsent answers stay in the browser."""
    _component(key="theme_switch", data={"pages": page_names(), "script": at("/assets/theme.js")}, height=34)


def page_names() -> list[str]:
    """The last part of every page's address; the start page has none."""
    return ["", *(place.name for place in places.PLACES[1:])]
