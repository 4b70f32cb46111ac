// Everything about looking, as buttons and menus; each says its key.

import { RATES } from "./cine.js"
import { choosePreset } from "./commands.js"
import { button, element } from "./dom.js"
import { keyMap, nameOfChord } from "./keys.js"
import { presetOfWindow, presetsOf } from "./presets.js"
import { COLOUR_MAPS } from "./renderers/looks.js"

/** [command, what stands on it, what it does]. */
const BUTTONS = [
  ["fit", "Fit", "Fit to the window"],
  ["actual", "1:1", "One image pixel for one of the screen"],
  ["reset", "Reset", "Reset view and window"],
  ["invert", "Invert", "Invert grey levels"],
  ["flipX", "↔", "Flip left and right"],
  ["flipY", "↕", "Flip up and down"],
  ["rotate", "↻", "Turn by 90°"],
  ["smooth", "Smooth", "Smooth or crisp pixels"],
  ["planes", "Planes", "Three planes of the volume"],
  ["compare", "Compare", "Side by side with another case or frame"],
  ["play", "Play", "Play the frames, or stop"],
  ["fullScreen", "⤢", "Full screen"],
]
const LAYOUTS = ["planes", "compare"]

export class LookBar {
  constructor(layout) {
    this.layout = layout
    const run = (name) => layout.command(name)
    this.buttons = new Map(BUTTONS.map(([name, text, label]) => [name, button({ "data-tool": name, "aria-label": label, onclick: () => run(name) }, text)]))
    this.presets = this.menu("Window (Shift and the digit)", (value) => value && choosePreset(layout.active, value), "window")
    this.colours = this.menu("Colour map", (value) => layout.active.lookAs({ colourMap: value }), "colours")
    this.colours.append(...Object.entries(COLOUR_MAPS).map(([value, text]) => element("option", { value }, text)))
    this.rate = element("input", {
      type: "number", min: RATES[0], max: RATES[1], step: "1", "aria-label": "Frames per second", title: "Frames per second",
      onchange: () => layout.cine.setRate(Number(this.rate.value)),
      onkeydown: (event) => (event.key === "Enter" || event.key === "Escape") && this.rate.blur(),
    })
    this.cine = element("span", { class: "cine" }, this.buttons.get("play"), this.rate, element("span", {}, "/s"))
    this.element = element(
      "div",
      { class: "look", role: "toolbar", "aria-label": "Looking" },
      this.presets, this.colours,
      ...BUTTONS.filter(([name]) => name !== "play" && name !== "fullScreen").map(([name]) => this.buttons.get(name)),
      this.cine,
      this.buttons.get("fullScreen"),
    )
    this.stopListening = keyMap.onChange(() => this.nameKeys())
    this.nameKeys()
    this.showCase()
    this.showCine()
  }

  /** Each button says which key does the same. */
  nameKeys() {
    for (const [name, , title] of BUTTONS) this.buttons.get(name).title = `${title} (${nameOfChord(keyMap.chordOf(name))})`
  }

  close() {
    this.stopListening()
  }

  menu(label, choose, name) {
    const made = element("select", {
      "aria-label": label, "data-tool": name, title: label,
      onchange: () => {
        choose(made.value)
        made.blur() // the keys are the viewer's again
      },
    })
    return made
  }

  /** Another case or another layout. */
  showCase() {
    const { layout } = this
    const { facts } = layout.active
    this.buttons.get("planes").hidden = !layout.canShowPlanes()
    for (const name of LAYOUTS) this.buttons.get(name).setAttribute("aria-pressed", String(layout.mode === name))
    this.cine.hidden = !layout.canShowPlanes()
    const presets = facts ? presetsOf(facts) : []
    this.presets.hidden = this.colours.hidden = !presets.length
    this.presets.replaceChildren(
      element("option", { value: "" }, "Window"),
      ...presets.map(({ value, digit, name }) => element("option", { value }, digit ? `${digit}  ${name}` : name)),
    )
    this.showLook()
  }

  /** Another window, colour map or pane. */
  showLook() {
    const { active } = this.layout
    this.colours.value = active.colourMap
    this.buttons.get("invert").setAttribute("aria-pressed", String(active.inverted))
    this.buttons.get("smooth").setAttribute("aria-pressed", String(active.smooth))
    const seen = active.window
    const found = active.facts && seen && presetOfWindow(active.facts, seen)
    this.presets.value = found?.value ?? ""
  }

  showCine() {
    const { playing, rate } = this.layout.cine ?? { playing: false, rate: 12 }
    this.buttons.get("play").textContent = playing ? "Stop" : "Play"
    this.buttons.get("play").setAttribute("aria-pressed", String(playing))
    this.rate.value = rate
  }
}
