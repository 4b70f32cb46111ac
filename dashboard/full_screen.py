"""The whole screen for one page: a button and the key F; Esc leaves, and so does leaving the page.

The browser's own full screen, and the sidebar and the header go (`rr-full` in `assets/readroom.css`). Where a browser
refuses the first, the second happens all the same.
"""

import streamlit as st

_HTML = '<button type="button" title="Full screen (F), left by Esc" aria-pressed="false" disabled></button>'
_CSS = """
button { font: 400 0.82rem/1.5 var(--st-font); width: 100%; height: 2.3rem; padding: 0 0.6rem; white-space: nowrap;
  background: none; color: var(--st-text-color); cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 6px; }
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
"""
_JS = """
const root = document.documentElement
let asked = false // by us: the viewer has a full screen of its own, which is not this one
let paint = () => {}

function isTyping(event) {
  const at = event.composedPath()[0]
  return at instanceof Element && (at.isContentEditable || at.matches("input, textarea, select"))
}

function show(on) {
  root.classList.toggle("rr-full", on)
  paint()
  window.dispatchEvent(new Event("resize")) // charts and the viewer measure anew
}

function enter() {
  show(true)
  asked = true
  if (!document.fullscreenElement) root.requestFullscreen?.().catch(() => { asked = false })
}

function leave() {
  show(false)
  asked = false
  if (document.fullscreenElement === root) document.exitFullscreen().catch(() => {})
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat || isTyping(event)) return
  if (event.code === "KeyF") {
    event.preventDefault()
    root.classList.contains("rr-full") ? leave() : enter()
  } else if (event.key === "Escape" && root.classList.contains("rr-full")) {
    leave()
  }
}

// The browser takes Esc for itself and only says that its full screen has ended.
function changed() {
  if (asked && !document.fullscreenElement) leave()
}

export default function ({ parentElement }) {
  const button = parentElement.querySelector("button")
  paint = () => {
    const on = root.classList.contains("rr-full")
    button.textContent = on ? "Leave (Esc)" : "Full screen (F)"
    button.setAttribute("aria-pressed", String(on))
  }
  button.onclick = () => {
    root.classList.contains("rr-full") ? leave() : enter()
    button.blur() // so that the space bar and the arrows go to the page again
  }
  button.disabled = false // until here a press would have done nothing
  paint()
  document.addEventListener("keydown", press)
  document.addEventListener("fullscreenchange", changed)
  return () => {
    document.removeEventListener("keydown", press)
    document.removeEventListener("fullscreenchange", changed)
    leave()
  }
}
"""
_component = st.components.v2.component("readroom_full_screen", html=_HTML, css=_CSS, js=_JS, isolate_styles=True)


def draw_full_screen() -> None:
    """The button; the key works wherever the focus is, except where somebody writes."""
    _component(key="full_screen", height=36)
