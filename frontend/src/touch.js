// Fingers on a pane: one is the tool, two zoom and move, three go from frame to frame.

import { Drag } from "./drag.js"
import { zoomAt } from "./geometry.js"

const FRAME_PX = 14 // of a drag with three fingers, in canvas pixels

/** The middle of some points and their mean distance from it. */
export function spread(points) {
  const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length)
  return { x, y, size: points.reduce((sum, point) => sum + Math.hypot(point[0] - x, point[1] - y), 0) / points.length }
}

/** The view when two fingers went from one spread to another. */
export function pinchedView(view, stage, from, to) {
  const zoomed = zoomAt(view, stage, from.x, from.y, from.size ? to.size / from.size : 1)
  return { ...zoomed, panX: zoomed.panX + to.x - from.x, panY: zoomed.panY + to.y - from.y }
}

export class Touches {
  constructor(pane) {
    this.pane = pane
    this.fingers = new Map() // pointer id -> place on the canvas
    this.most = 0 // fingers since the last time there was none: a lifted one does not begin another gesture
  }

  down(event, at) {
    const { pane } = this
    this.fingers.set(event.pointerId, at)
    this.most = Math.max(this.most, this.fingers.size)
    if (this.fingers.size === 1) pane.drag = new Drag(pane, "tool", at, event)
    else pane.drag?.cancel() // what the first finger began was not meant
    this.begin()
  }

  begin() {
    this.from = spread([...this.fingers.values()])
    this.view = this.pane.view
    this.index = this.pane.index
  }

  move(event, at) {
    if (!this.fingers.has(event.pointerId)) return
    const { pane } = this
    this.fingers.set(event.pointerId, at)
    if (pane.drag) return pane.drag.move(at, event)
    if (this.most < 2 || this.fingers.size < this.most) return
    const now = spread([...this.fingers.values()])
    if (this.most === 2) pane.setView(pinchedView(this.view, pane.size(), this.from, now))
    else pane.setIndex(this.index + Math.round((now.y - this.from.y) / FRAME_PX))
  }

  up(event, at) {
    if (this.fingers.size === 1) this.pane.drag?.up(at, event)
    this.lift(event)
  }

  cancel(event) {
    this.pane.drag?.cancel()
    this.lift(event)
  }

  lift(event) {
    this.fingers.delete(event.pointerId)
    if (this.fingers.size === 0) this.most = 0
  }
}
