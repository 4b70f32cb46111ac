// Beside the image: the structures, the tools that paint them, and what tools need to know.

import { chordText } from "../chords.js"
import { button, element, icon } from "../dom.js"
import { keyMap, nameOfChord } from "../keys.js"
import { amountText, sizeText } from "./measure.js"

const TOOLS = [
  ["brush", "Brush", "Paint; Alt erases"],
  ["eraser", "Eraser", "Erase; Alt paints"],
  ["threshold", "In range", "Paint only where the value lies in the range"],
  ["ball", "3-D ball", "Paint a ball through the slices, true to scale"],
  ["fill", "Fill hole", "Fill what is enclosed by the structure"],
  ["region", "Region", "Take the connected region inside the range; without a range, of values like the one clicked on"],
]
const ACTS = [
  ["interpolate", "Interpolate", "Fill the gaps between painted slices"],
  ["copyToNext", "To next", "The next slice becomes what this one is"],
  ["clearSlice", "Clear", "Take the structure away on this slice"],
]
const EYE = "M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8Zm7-2a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z"
const LOCK = "M4.5 7V5a3.5 3.5 0 0 1 7 0v2h1v6.5h-9V7h1Zm1.5 0h4V5a2 2 0 0 0-4 0v2Z"
const OPEN = "M4.5 7V5a3.5 3.5 0 0 1 6.8-1.2l-1.4.6A2 2 0 0 0 6 5v2h6.5v6.5h-9V7h1Z"

export class MaskPanel {
  /** @param {import("./masks.js").Masks} masks */
  constructor(masks) {
    this.masks = masks
    this.list = element("div", { class: "structures", role: "group", "aria-label": "Structures" })
    this.overlays = element("div", { class: "others" })
    this.tools = new Map(TOOLS.map(([kind, text, title]) => [kind, this.toolButton(kind, text, title)]))
    this.size = slider("Size of the brush", 0, 1, 0.01, (share) => masks.setSize(sizeOf(share)))
    this.sizeText = element("output")
    this.range = this.rangeControls()
    this.fill = slider("Opacity", 0, 1, 0.05, (fill) => masks.change(masks.active, { fill }))
    this.outline = checkbox((outline) => masks.change(masks.active, { outline }))
    this.keepOff = checkbox((keepOff) => (masks.settings.keepOff = keepOff))
    this.keepOff.checked = masks.settings.keepOff
    this.element = element(
      "section",
      { class: "masks", "aria-label": "Structures and brushes" },
      element("h2", {}, "Structures"),
      this.list,
      element("div", { class: "looks" }, element("label", {}, "Opacity", this.fill), element("label", {}, this.outline, "Outline")),
      element("div", { class: "kinds", role: "toolbar", "aria-label": "Brushes" }, ...this.tools.values()),
      element("label", { class: "size" }, element("span", {}, "Size", element("kbd", {}, "["), element("kbd", {}, "]")), this.size, this.sizeText),
      this.range,
      element("div", { class: "acts" }, ...ACTS.map(([name, text, title]) => button({ title: titled(title, keyOf(name)), onclick: () => masks.command(name) }, text))),
      element("label", { class: "keep", title: "A locked structure keeps its pixels: others are not painted over it" }, this.keepOff, "Keep off locked structures"),
      this.overlays,
    )
    this.show()
    this.showTools()
    this.showRange()
  }

  toolButton(kind, text, title) {
    const key = keyOf(kind)
    return button(
      { "data-kind": kind, title: titled(title, key), "aria-pressed": "false", "aria-keyshortcuts": key || null, onclick: () => this.masks.choose(kind) },
      text, element("kbd", {}, key.replace("Shift ", "⇧")),
    )
  }

  rangeControls() {
    const { masks } = this
    this.low = number("Lowest value", "any", (low) => masks.setRange({ low }))
    this.high = number("Highest value", "any", (high) => masks.setRange({ high }))
    this.tolerance = number("Tolerance", "auto", (tolerance) => (masks.settings.tolerance = tolerance))
    this.ranged = checkbox((rangedBall) => (masks.settings.rangedBall = rangedBall))
    this.largest = number("Largest fill in per cent of the image", "25", (share) => (masks.settings.largestFill = clip(share ?? 25) / 100))
    this.pick = button({ title: titled("Click on the image: its value, a tolerance below and above", keyOf("pick")), "aria-pressed": "false", onclick: () => masks.choose("pick") }, "From here")
    return element(
      "div",
      { class: "range" },
      element("div", {}, element("span", {}, "Range"), this.low, "to", this.high),
      element("div", {}, this.pick, "±", this.tolerance),
      element("div", {}, element("label", { title: "The 3-D ball paints only where the value lies in the range" }, this.ranged, "Ball too"), element("label", {}, "Largest fill", this.largest, "%")),
    )
  }

  /** Structures and layers anew. */
  show() {
    const { masks } = this
    this.amounts = new Map()
    this.rows = new Map()
    this.list.replaceChildren(...masks.structures.filter(({ retired, grid }) => !retired || grid?.count).map((structure) => this.row(structure)))
    if (this.chosen !== masks.active) this.rows.get(masks.active)?.scrollIntoView?.({ block: "nearest" }) // there may be more than fit
    this.chosen = masks.active
    const titles = masks.others.titles()
    this.overlays.replaceChildren(...(titles.length ? [element("h2", {}, "Painted by others")] : []), ...titles.map((title) => this.otherRow(title)))
    this.fill.value = String(masks.active?.fill ?? 0)
    this.outline.checked = masks.active?.outline ?? false
    this.sizeText.textContent = sizeText(masks.settings.size, masks.facts ?? {})
    this.showVolumes()
  }

  row(structure) {
    const { masks } = this
    const { name, key, colour, hidden, locked, state } = structure
    const amount = element("small")
    this.amounts.set(structure, amount)
    const chosen = structure === masks.active
    const choose = button(
      { class: "structure", "aria-pressed": String(chosen), "aria-keyshortcuts": chordText(key) || null, onclick: () => masks.pick(name) },
      element("kbd", {}, chordText(key) || "·"), element("i"), element("b", { title: name }, name), amount,
    )
    const row = element(
      "div",
      { class: "row", "data-structure": name },
      choose,
      state === "failed" ? button({ class: "again", title: "Load this mask again", onclick: () => masks.fetchStored(structure) }, "Load again") : null,
      toggle(`Hide ${name}`, hidden, EYE, EYE, () => masks.change(structure, { hidden: !hidden })),
      toggle(`Lock ${name}`, locked, LOCK, OPEN, () => masks.change(structure, { locked: !locked })),
    )
    row.style.setProperty("--colour", colour)
    this.rows.set(structure, row)
    return row
  }

  otherRow(title) {
    const { others } = this.masks
    const layer = others.shown.get(title)
    const hidden = !layer || layer.hidden
    const toggleIt = () => (layer ? others.hide(title, !hidden) : others.showReader(title))
    return element(
      "div",
      { class: "row" },
      element("span", { title }, others.isReference(title) ? `${title}, reference` : title),
      layer && button({ title: "Make it mine, to correct it; locked structures stay as they are", onclick: () => others.adopt(title) }, "Take over"),
      toggle(`Hide ${title}`, hidden, EYE, EYE, toggleIt),
    )
  }

  /** The structures that the digits so far may still mean stay bright. */
  showWaiting(pressed) {
    this.list.classList.toggle("waiting", Boolean(pressed))
    for (const [{ key }, row] of this.rows) row.classList.toggle("possible", Boolean(pressed) && key.startsWith(pressed))
  }

  showVolumes() {
    const { facts } = this.masks
    for (const [{ grid, state }, amount] of this.amounts) {
      amount.textContent = state === "loading" ? "loading" : state === "failed" ? "not loaded" : grid && facts ? amountText(grid.count, facts) : ""
    }
  }

  showTools() {
    const { masks } = this
    for (const [kind, made] of this.tools) made.setAttribute("aria-pressed", String(kind === masks.kind))
    this.pick.setAttribute("aria-pressed", String(masks.kind === "pick"))
    this.size.value = String(shareOf(masks.settings.size))
    this.sizeText.textContent = sizeText(masks.settings.size, masks.facts ?? {})
  }

  showRange() {
    const { low, high } = this.masks.settings.range
    this.low.value = low ?? ""
    this.high.value = high ?? ""
  }
}

function keyOf(command) {
  return nameOfChord(keyMap.chordOf(command))
}

function titled(text, key) {
  return key ? `${text} (${key})` : text
}

// A slider for sizes: each step the same share larger, so that small brushes can be told apart.
const DOUBLINGS = Math.log2(400)

function sizeOf(share) {
  return Math.round(2 ** (share * DOUBLINGS))
}

function shareOf(size) {
  return Math.log2(size) / DOUBLINGS
}

function clip(percent) {
  return Math.min(100, Math.max(1, percent))
}

function slider(label, min, max, step, onchange) {
  const made = element("input", { type: "range", min, max, step, "aria-label": label, oninput: () => onchange(Number(made.value)) })
  return made
}

function checkbox(onchange) {
  const made = element("input", { type: "checkbox", onchange: () => onchange(made.checked) })
  return made
}

/** A field for a number, or for none. */
function number(label, placeholder, onchange) {
  const made = element("input", {
    type: "number", step: "any", placeholder, "aria-label": label, title: label,
    onchange: () => onchange(made.value.trim() === "" || !Number.isFinite(made.valueAsNumber) ? null : made.valueAsNumber),
    onkeydown: (event) => ["Enter", "Escape"].includes(event.key) && made.blur(),
  })
  return made
}

function toggle(label, on, iconOn, iconOff, onclick) {
  return button({ class: "toggle", title: label, "aria-label": label, "aria-pressed": String(on), onclick }, icon(on ? iconOn : iconOff))
}
