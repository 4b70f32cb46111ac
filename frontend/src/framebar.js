// A slim bar at the edge of a pane: which frames are there, where the reader is, and a way to go elsewhere.

import { element } from "./dom.js"

const THERE = [125, 138, 152, 255]

export class FrameBar {
  constructor(pane) {
    this.pane = pane
    this.canvas = element("canvas", { width: "1", "aria-hidden": "true" })
    this.mark = element("i")
    this.element = element(
      "div",
      { class: "framebar", role: "slider", tabindex: "0", "aria-label": "Frame", "aria-orientation": "vertical", "aria-valuemin": "1", hidden: true },
      this.canvas, this.mark,
    )
    this.element.addEventListener("pointerdown", (event) => {
      event.preventDefault()
      this.element.setPointerCapture(event.pointerId)
      this.go(event)
    })
    this.element.addEventListener("pointermove", (event) => event.buttons && this.go(event))
    this.element.addEventListener("keydown", (event) => this.key(event))
  }

  go(event) {
    const box = this.element.getBoundingClientRect()
    this.pane.setIndex(Math.floor(((event.clientY - box.top) / box.height) * this.pane.count))
  }

  key(event) {
    const { pane } = this
    const to = {
      ArrowUp: pane.index - 1, ArrowLeft: pane.index - 1, ArrowDown: pane.index + 1, ArrowRight: pane.index + 1,
      PageUp: pane.index - 10, PageDown: pane.index + 10, Home: 0, End: pane.count - 1,
    }[event.code]
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    event.stopPropagation()
    pane.setIndex(to)
  }

  /** Another case or plane, or more of it is there. */
  showLoaded() {
    const { pane } = this
    this.element.hidden = !(pane.count > 1)
    if (this.element.hidden) return
    const { canvas } = this
    if (canvas.height !== pane.count) canvas.height = pane.count
    const image = new ImageData(1, pane.count)
    // The other planes are cut through all frames: what is missing is a part of each of their pictures.
    const isThere = pane.plane === "frame" ? (at) => pane.volume.isLoaded(at) : () => pane.volume.isComplete()
    for (let at = 0; at < pane.count; at++) if (isThere(at)) image.data.set(THERE, at * 4)
    canvas.getContext("2d").putImageData(image, 0, 0)
    this.element.setAttribute("aria-valuemax", pane.count)
    this.element.dataset.complete = String(pane.volume.isComplete())
    this.showPlace()
  }

  showPlace() {
    const { pane, element: bar } = this
    if (bar.hidden) return
    this.mark.style.top = `${(100 * (pane.index + 0.5)) / pane.count}%`
    bar.setAttribute("aria-valuenow", pane.index + 1)
    bar.setAttribute("aria-valuetext", `${pane.index + 1} of ${pane.count}`)
  }
}
