// The black surface with the image on it, and what its corners say.

import { element } from "./dom.js"
import { fitScale, freshView, toImage, turned, viewMatrix } from "./geometry.js"
import { followPointer } from "./interaction.js"
import { CanvasRenderer } from "./renderer.js"
import { firstWindow } from "./window.js"

export class Stage {
  constructor() {
    this.canvas = element("canvas", { "aria-hidden": "true" })
    this.corners = Object.fromEntries(["who", "what", "how", "value"].map((name) => [name, element("div", { class: `corner ${name}` })]))
    this.message = element("div", { class: "message", role: "alert", hidden: true })
    this.element = element(
      "div",
      { class: "stage", tabindex: "0", role: "img", "aria-label": "No image" },
      this.canvas, ...Object.values(this.corners), this.message,
    )
    this.renderer = new CanvasRenderer(this.canvas)
    this.image = null
    this.layer = null // {picture, opacity}: an overlay
    this.frame = 0
    this.onPainted = () => {}
    followPointer(this)
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(this.element)
  }

  /** Show an image of a case as its file asks for it. */
  show(image, facts) {
    this.image = image
    this.facts = facts
    this.first = firstWindow(image, facts.windows)
    this.layer = null
    this.message.hidden = true
    this.element.setAttribute("aria-label", `Image ${facts.source}`)
    this.reset()
  }

  /** Nothing, or the reason for it. */
  clear(text = "", ...actions) {
    this.image = null
    this.layer = null
    this.message.replaceChildren(element("p", {}, text), ...actions)
    this.message.hidden = !text
    this.element.setAttribute("aria-label", text || "Loading")
    for (const corner of Object.values(this.corners)) corner.textContent = ""
    this.draw()
  }

  reset() {
    this.view = freshView()
    this.window = this.first
    this.inverted = false
    this.draw()
  }

  /** What a key or a button asks for; false where it is not about looking. */
  command(name) {
    const { view } = this
    const changes = {
      reset: () => this.reset(),
      fit: () => this.setView({ ...view, zoom: 1, panX: 0, panY: 0 }),
      invert: () => this.setInverted(!this.inverted),
      flipX: () => this.setView({ ...view, flipX: !view.flipX, panX: -view.panX }),
      flipY: () => this.setView({ ...view, flipY: !view.flipY, panY: -view.panY }),
      rotate: () => this.setView(turned(view)),
    }
    if (!changes[name]) return false
    if (this.image) changes[name]()
    return true
  }

  setView(view) {
    this.view = view
    this.draw()
  }

  setWindow(window) {
    this.window = window
    this.draw()
  }

  setInverted(inverted) {
    this.inverted = inverted
    this.draw()
  }

  setLayer(layer) {
    this.layer = layer
    this.draw()
  }

  size() {
    return { width: this.canvas.width, height: this.canvas.height }
  }

  resize() {
    const ratio = window.devicePixelRatio || 1
    const [width, height] = [this.element.clientWidth, this.element.clientHeight].map((side) => Math.round(side * ratio))
    if (!width || !height || (width === this.canvas.width && height === this.canvas.height)) return
    this.renderer.resize(width, height)
    this.paint() // at once: a canvas that changes its size is blank until then
  }

  /** Draw with the next frame, however often this is called before. */
  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0
      this.paint()
    })
  }

  paint() {
    if (!this.canvas.width) return
    if (!this.image) {
      this.renderer.draw(null)
      return
    }
    this.matrix = viewMatrix(this.image, this.size(), this.view)
    this.renderer.draw(this.image, {
      window: this.window,
      inverted: this.inverted !== (this.facts.photometric === "MONOCHROME1"),
      matrix: this.matrix,
      layers: this.layer ? [this.layer] : [],
    })
    this.describe()
    this.onPainted(this.facts.id)
  }

  describe() {
    const { facts, image, corners, window: seen } = this
    const ratio = window.devicePixelRatio || 1
    const percent = (100 * fitScale(image, this.size(), this.view.turns) * this.view.zoom) / ratio
    const spacing = facts.spacing_mm
    corners.who.textContent = [facts.source, `Patient ${facts.patient}`].join("\n")
    corners.what.textContent = [
      [facts.modality, facts.view].filter(Boolean).join(" "),
      `${image.columns} × ${image.rows} px`,
      spacing ? `${spacing[1].toPrecision(3)} mm/px at ${facts.spacing_at}` : "",
    ].filter(Boolean).join("\n")
    corners.how.textContent = `W ${short(seen.width)}  L ${short(seen.centre)}${this.inverted ? "  inverted" : ""}\nZoom ${percent.toFixed(0)} %`
  }

  /** The value under the pointer, which is at a place of the canvas, or nowhere. */
  point(at) {
    this.corners.value.textContent = this.image && this.matrix && at ? this.valueAt(at) : ""
  }

  valueAt([x, y]) {
    const { columns, rows, channels, values } = this.image
    const [column, row] = toImage(this.matrix, x, y).map(Math.floor)
    if (column < 0 || row < 0 || column >= columns || row >= rows) return ""
    const start = (row * columns + column) * channels
    const told = Array.from(values.slice(start, start + channels), short).join(" ")
    return `${column}, ${row}: ${told}${this.facts.modality === "CT" ? " HU" : ""}`
  }

  close() {
    this.observer.disconnect()
    cancelAnimationFrame(this.frame)
  }
}

/** `1500`, `-0.25`: whole numbers as they are, others to four digits. */
function short(number) {
  return Number.isInteger(number) ? String(number) : Math.abs(number) >= 1000 ? number.toFixed(0) : String(+number.toPrecision(4))
}
