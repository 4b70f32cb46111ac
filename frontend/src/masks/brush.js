// Brushes: round ones in the slice, and a ball that reaches into the slices before and behind it. One press, one act.

import { planeCount, planeSize } from "../planes.js"
import { boxOf, around } from "./grid.js"
import { eachCoveredLine } from "./shapes.js"

const PINCH_MS = 300 // between two fingers that come down together

/** How large a pixel of a plane is, in millimetres where they are known: across, and through to the next slice. */
export function pixelOf({ spacing_mm: spacing, slice_spacing_mm: between }, plane) {
  const [down, across] = spacing ?? [1, 1]
  const through = (spacing && between) || across
  return {
    frame: { across, through },
    row: { across, through: down },
    column: { across: down, through: across },
  }[plane]
}

/**
 * The slices a brush reaches, with its radius in each, in pixels across: [[index, radius], ...].
 *
 * @param {number} size the diameter in pixels across of a stored frame: the same brush in every plane
 */
export function reach(facts, plane, index, size, ball) {
  const { across, through } = pixelOf(facts, plane)
  const stored = pixelOf(facts, "frame").across
  const radius = (size * stored) / 2 / across
  if (!ball) return [[index, radius]]
  const found = []
  const far = Math.floor((radius * across) / through)
  for (let step = -far; step <= far; step++) {
    const rest = radius ** 2 - ((step * through) / across) ** 2
    if (index + step < 0 || index + step >= planeCount(facts, plane)) continue
    if (rest > 0) found.push([index + step, Math.sqrt(rest)])
  }
  return found
}

export class BrushTool {
  /**
   * @param {import("./masks.js").Masks} masks
   * @param {{name: string, value?: 0 | 1, ball?: boolean, ranged?: () => boolean}} kind
   */
  constructor(masks, { name, value = 1, ball = false, ranged = () => false }) {
    Object.assign(this, { masks, name, value, ball, ranged })
    this.cursor = "crosshair"
    this.isBrush = true
    this.stroke = null
  }

  down(at, event) {
    this.cancel()
    if (!at.pane.picture()) return this.masks.say("Wait for the image."), true // nobody paints on what they do not see
    this.stroke = this.masks.begin(this)
    if (!this.stroke) return true // the reader was told why; a drag meant to paint must not change the window
    this.painting = event?.altKey ? 1 - this.value : this.value
    this.touchedAt = event?.pointerType === "touch" ? event.timeStamp : null
    this.last = null
    this.move(at)
    return true
  }

  move(at) {
    this.masks.hover(at)
    if (!this.stroke) return
    // Another slice came under the pointer, by the wheel or a key: the way begins anew there.
    const joined = this.last?.plane === at.plane && this.last.index === at.index
    this.paint(joined ? this.last : at, at)
    this.last = at
  }

  paint(from, to) {
    const { stroke, masks } = this
    const { plane, index } = to
    const { facts } = masks
    const size = planeSize(facts, plane)
    const allowed = this.painting && this.ranged() ? masks.rangeTest() : null
    let slices = null
    let dirty = null
    for (const [slice, radius] of reach(facts, plane, index, masks.settings.size, this.ball)) {
      eachCoveredLine([from.x, from.y], [to.x, to.y], radius, size, (y, first, last) => {
        if (!stroke.line(plane, slice, y, first, last, this.painting, allowed)) return
        dirty = around(dirty, [first, y, last - first, 1])
        slices = slices ? [Math.min(slices[0], slice), Math.max(slices[1], slice)] : [slice, slice]
      })
    }
    if (!dirty) return
    const box = boxOf(plane, slices[0], dirty)
    const through = { frame: "frames", row: "rows", column: "columns" }[plane]
    box[through] = [slices[0], slices[1] + 1]
    stroke.grid.note(box)
    masks.redraw()
  }

  up(at) {
    if (this.stroke && at) this.move(at)
    this.finish()
  }

  /** What was painted until the pointer was taken away is painted; what a finger began that is one of two is not meant. */
  cancel() {
    const isPinch = this.stroke && this.touchedAt !== null && performance.now() - this.touchedAt < PINCH_MS
    if (isPinch) this.stroke.takeBack()
    this.finish()
  }

  finish() {
    const { stroke } = this
    this.stroke = this.last = null
    if (stroke) this.masks.finish(stroke)
  }

  hover(at) {
    this.masks.hover(at)
  }
}
