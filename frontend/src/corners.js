// What the corners of a pane say: whose image, which, how it is shown, and the value under the pointer.

import { element } from "./dom.js"
import { fitScale } from "./geometry.js"

const CORNERS = ["who", "what", "how", "value"]

export class Corners {
  constructor() {
    this.texts = Object.fromEntries(CORNERS.map((name) => [name, element("div", { class: `corner ${name}` })]))
    this.elements = Object.values(this.texts)
  }

  clear() {
    for (const name of CORNERS) this.write(name, "")
  }

  /** Only what changed: a text that is set anew is laid out anew. */
  write(name, text) {
    if (this.texts[name].textContent !== text) this.texts[name].textContent = text
  }

  describe(pane, picture) {
    const { facts, window: seen } = pane
    if (!facts) return this.clear()
    const ratio = window.devicePixelRatio || 1
    const shape = pane.shape()
    const percent = (100 * fitScale(shape, pane.size(), pane.view.turns) * pane.view.zoom) / ratio
    const spacing = facts.spacing_mm
    this.write("who", [facts.source, `Patient ${facts.patient}`].join("\n"))
    this.write("what", lines(
      [facts.modality, facts.view].filter(Boolean).join(" "),
      `${shape.columns} × ${shape.rows} px`,
      spacing ? `${spacing[1].toPrecision(3)} mm/px at ${facts.spacing_at}` : "",
    ))
    this.write("how", lines(
      pane.count > 1 ? `${pane.index + 1} / ${pane.count}${picture ? "" : "  loading"}` : "",
      `W ${short(seen.width)}  L ${short(seen.centre)}${pane.inverted ? "  inverted" : ""}`,
      `Zoom ${percent.toFixed(0)} %`,
    ))
  }

  point(pane, at) {
    this.write("value", pane.facts && pane.matrix && at ? valueAt(pane, at) : "")
  }
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
