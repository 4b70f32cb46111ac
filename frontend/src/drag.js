// One drag on a pane from its first to its last point.

import { zoomAt } from "./geometry.js"

const ZOOM_PER_PX = 0.006
const CLICK_PX = 3 // a press that moves less was not meant as a drag

/** The window after a drag of (x, y) canvas pixels: to the right wider, downwards brighter values into the middle; its curve is stretched. */
export function draggedWindow(start, first, x, y) {
  const step = Math.max(first.width, start.width / 8) / 500
  const floor = first.width / 10000
  return { name: "set by hand", centre: start.centre + y * step, width: Math.max(floor, start.width + x * step), curve: start.curve }
}

/** The view after a drag of (x, y) canvas pixels. */
export function draggedView(kind, start, stage, from, x, y) {
  if (kind === "pan") return { ...start, panX: start.panX + x, panY: start.panY + y }
  return zoomAt(start, stage, from[0], from[1], Math.exp(-y * ZOOM_PER_PX))
}

/** What a drag does from its first to its last point; `kind` is "tool", "window", "pan" or "zoom". */
export class Drag {
  constructor(pane, kind, from, event) {
    this.pane = pane
    this.from = from
    this.kind = kind
    this.tool = null
    this.moved = false
    if (kind === "tool") {
      const place = pane.place(from)
      const tool = pane.grab?.(place, event) || pane.tool
      // A tool that declines leaves the drag to the window.
      if (tool && tool.down(place, event) !== false) this.tool = tool
      else this.kind = "window"
    }
    this.view = pane.view
    this.window = pane.window
    if (!this.tool) pane.element.dataset.drag = this.kind
  }

  move(at, event) {
    const { pane, from } = this
    if (this.tool) return this.tool.move(pane.place(at), event)
    const [x, y] = [at[0] - from[0], at[1] - from[1]]
    if (Math.hypot(x, y) > CLICK_PX) this.moved = true
    if (this.kind === "window") pane.setWindow(draggedWindow(this.window, pane.first, x, y))
    else pane.setView(draggedView(this.kind, this.view, pane.size(), from, x, y))
  }

  up(at, event) {
    if (this.tool) this.tool.up(this.pane.place(at), event)
    else if (this.kind === "window" && !this.moved) this.pane.onClick?.(this.pane.place(this.from), event)
    this.end()
  }

  cancel() {
    this.tool?.cancel?.()
    this.end()
  }

  end() {
    delete this.pane.element.dataset.drag
    if (this.pane.drag === this) this.pane.drag = null
  }
}
