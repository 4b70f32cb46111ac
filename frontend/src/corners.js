// What the corners of a pane say: whose image, which, how it is shown, and the value under the pointer; at the edges
// which way the patient lies, and how long a millimetre is.

import { planeColour } from "./crosshair.js"
import { element } from "./dom.js"
import { fitScale } from "./geometry.js"
import { affineOfLetters, edgeLetters, planeName } from "./orientation.js"
import { nameOfWindow } from "./presets.js"
import { scaleBar } from "./scale.js"

const CORNERS = ["who", "what", "how", "value"]
const EDGES = ["left", "right", "top", "bottom"]

export class Corners {
  constructor() {
    this.texts = Object.fromEntries([
      ...CORNERS.map((name) => [name, element("div", { class: `corner ${name}` })]),
      ...EDGES.map((name) => [name, element("div", { class: `edge at-${name}`, "aria-hidden": "true" })]),
    ])
    this.plane = element("div", { class: "plane-name" })
    this.bar = element("div", { class: "scale" }, element("i"), element("span"))
    this.elements = [...Object.values(this.texts), this.plane, this.bar]
  }

  clear() {
    for (const name of [...CORNERS, ...EDGES]) this.write(name, "")
    this.plane.textContent = ""
    this.bar.hidden = true
  }

  /** Only what changed: a text that is set anew is laid out anew. */
  write(name, text) {
    if (this.texts[name].textContent !== text) this.texts[name].textContent = text
  }

  describe(pane, picture) {
    const { facts } = pane
    if (!facts) return this.clear()
    const shape = pane.shape()
    const spacing = facts.spacing_mm
    this.write("who", lines(facts.source, facts.patient ? `Patient ${facts.patient}` : "Patient not known"))
    this.write("what", lines(
      [facts.modality, facts.view].filter(Boolean).join(" "),
      `${shape.columns} × ${shape.rows} px`,
      spacing && pane.plane === "frame" ? `${spacing[1].toPrecision(3)} mm/px${facts.spacing_at === "detector" ? " at detector" : ""}` : "",
    ))
    this.write("how", lines(
      pane.count > 1 ? `${pane.index + 1} / ${pane.count}${picture ? "" : "  loading"}` : "",
      windowText(pane),
      `Zoom ${(100 * fitScale(shape, pane.size(), pane.view.turns) * pane.view.zoom).toFixed(0)} %`,
    ))
    this.describePlace(pane)
  }

  /** Letters, the name of the plane, and the bar. */
  describePlace(pane) {
    const { facts, plane, matrix } = pane
    const letters = edgeLetters(facts.affine ?? affineOfLetters(facts.orientation), plane, matrix)
    for (const name of EDGES) this.write(name, letters?.[name] ?? "")
    const name = pane.count > 1 ? planeName(facts.affine, plane) : ""
    if (this.plane.textContent !== name) this.plane.textContent = name
    this.plane.style.color = planeColour(plane)
    const ratio = window.devicePixelRatio || 1
    const scale = scaleBar(facts, plane, matrix, pane.size().width)
    this.bar.hidden = !scale
    if (!scale) return
    const width = `${(scale.pixels / ratio).toFixed(1)}px`
    if (this.bar.firstChild.style.width !== width) this.bar.firstChild.style.width = width
    if (this.bar.lastChild.textContent !== scale.text) this.bar.lastChild.textContent = scale.text
  }

  point(pane, at) {
    this.write("value", pane.facts && pane.matrix && at ? valueAt(pane, at) : "")
  }
}

function windowText(pane) {
  const { facts, window: seen } = pane
  const name = nameOfWindow(facts, seen)
  return `W ${short(seen.width)}  L ${short(seen.centre)}${name ? `  ${name}` : ""}${pane.inverted ? "  inverted" : ""}`
}

/** Place and value under a point of the canvas, "" beside the picture. */
export function valueAt(pane, at) {
  const picture = pane.picture()
  if (!picture) return ""
  const { columns, rows, channels, values } = picture
  const [column, row] = pane.toImage(...at).map(Math.floor)
  if (column < 0 || row < 0 || column >= columns || row >= rows) return ""
  const start = (row * columns + column) * channels
  const told = Array.from(values.slice(start, start + channels), short).join(" ")
  return `${column}, ${row}: ${told}${pane.facts.modality === "CT" && channels === 1 ? " HU" : ""}`
}

function lines(...texts) {
  return texts.filter(Boolean).join("\n")
}

/** `1500`, `-0.25`: whole numbers as they are, others to four digits. */
export function short(number) {
  return Number.isInteger(number) ? String(number) : Math.abs(number) >= 1000 ? number.toFixed(0) : String(+number.toPrecision(4))
}
