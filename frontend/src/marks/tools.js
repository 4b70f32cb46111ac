// What the left button, or a finger, does with marks: draws new ones, and edits those that are there.
// Each tool has the interface of a pane's tools, and `settle` and `giveUp` for what is left half drawn.

import { betweenCorners, clampPoint, hit, isWhole, moved, ofPoints, simplified, withHandle, withVertex, withoutVertex } from "./model.js"

const CLICK_PX = 4 // in CSS pixels: a press that moves less is a click
const NEAR_PX = 7 // to take hold of something; a finger needs more
const FINGER_PX = 18
const TWICE_MS = 400 // between the two presses of a double click
const LINE_PX = 0.6 // how close the kept points of a freehand line stay to it
const ELSEWHERE = "Marks are drawn on the frames as they are stored, not across them."

function ratio() {
  return globalThis.devicePixelRatio || 1
}

function apart([x0, y0], [x1, y1]) {
  return Math.hypot(x1 - x0, y1 - y0) / ratio()
}

/** How near to a line counts as on it, in canvas pixels. */
export function reachOf(event) {
  return (event?.pointerType === "touch" ? FINGER_PX : NEAR_PX) * ratio()
}

class DrawingTool {
  /** @param {import("./marks.js").Marks} marks */
  constructor(marks, name) {
    Object.assign(this, { marks, name })
    this.cursor = "crosshair"
    this.frame = null // while something is under way: the frame it is on
  }

  /** Begin a press; false where nothing can be drawn here, and the reader is told why. */
  begins(at) {
    const obstacle = at.plane === "frame" ? this.marks.obstacle() : ELSEWHERE
    if (obstacle) this.marks.say(obstacle)
    return !obstacle
  }

  size(at) {
    return at.pane.facts
  }

  show(geometry, open = false) {
    this.marks.showDraft(geometry && { kind: this.name, frame: this.frame, geometry, open })
  }

  finish(geometry) {
    const { frame } = this
    this.giveUp()
    this.marks.add({ kind: this.name, frame, geometry })
  }

  get isOpen() {
    return this.frame !== null
  }

  giveUp() {
    this.frame = null
    this.marks.showDraft(null)
  }

  /** The reader leaves: what can stand as it is stays. */
  settle() {
    this.giveUp()
  }

  cancel() {
    this.giveUp()
  }
}

/** A box or an ellipse from corner to corner. */
export class CornerTool extends DrawingTool {
  down(at) {
    if (!this.begins(at)) return true // a drag meant to draw must not change the window
    this.frame = at.frame
    this.from = at
    return true
  }

  move(at) {
    if (this.isOpen) this.show(betweenCorners(this.name, [this.from.x, this.from.y], [at.x, at.y], this.size(at)))
  }

  up(at) {
    if (!this.isOpen) return
    const geometry = betweenCorners(this.name, [this.from.x, this.from.y], [at.x, at.y], this.size(at))
    if (geometry && apart(at.canvas, this.from.canvas) >= CLICK_PX) return this.finish(geometry)
    this.giveUp()
    this.marks.clickAt(at)
  }
}

/** One press, one point; it may still be moved until the button is let go. */
export class PointTool extends DrawingTool {
  down(at) {
    if (!this.begins(at)) return true
    this.frame = at.frame
    this.move(at)
    return true
  }

  move(at) {
    if (this.isOpen) this.show(ofPoints("point", [[at.x, at.y]], this.size(at)))
  }

  up(at) {
    if (this.isOpen) this.finish(ofPoints("point", [[at.x, at.y]], this.size(at)))
  }
}

/** A line that follows the pointer and closes when the button is let go. */
export class FreehandTool extends DrawingTool {
  down(at) {
    if (!this.begins(at)) return true
    this.frame = at.frame
    this.from = at
    this.points = [clampPoint([at.x, at.y], this.size(at))]
    return true
  }

  move(at) {
    if (!this.isOpen) return
    this.points.push(clampPoint([at.x, at.y], this.size(at)))
    this.show({ points: [...this.points] }, true)
  }

  up(at) {
    if (!this.isOpen) return
    this.move(at)
    const geometry = { points: simplified(this.points, LINE_PX * ratio() * perPixel(at)) }
    const far = this.points.some((point) => apart(at.pane.toCanvas(...point), this.from.canvas) >= CLICK_PX)
    if (far && isWhole("freehand", geometry)) return this.finish(geometry)
    this.giveUp()
    if (far) this.marks.say("A freehand outline encloses something: draw around it.")
    else this.marks.clickAt(this.from)
  }
}

/** How many image pixels one pixel of the canvas is, about. */
function perPixel(at) {
  const [x0, y0] = at.pane.toImage(...at.canvas)
  const [x1, y1] = at.pane.toImage(at.canvas[0] + 1, at.canvas[1])
  return Math.hypot(x1 - x0, y1 - y0)
}

/** Points one after the other: a polygon by clicks, a length or an angle by clicks or by drags. */
export class PathTool extends DrawingTool {
  constructor(marks, name, most = Infinity) {
    super(marks, name)
    this.most = most
    this.points = []
    this.loose = null // follows the pointer
    this.pressed = null
  }

  down(at, event) {
    if (!this.isOpen) {
      if (!this.begins(at)) return true
      this.frame = at.frame
      this.points = [clampPoint([at.x, at.y], this.size(at))]
      this.pressed = { at, fresh: true }
      return true
    }
    if (at.plane !== "frame" || at.frame !== this.frame) {
      this.marks.say(`The ${this.name} under way is on frame ${this.frame + 1}. Go back there, or press Esc to give it up.`)
      return true
    }
    this.pressed = { at, fresh: false, twice: this.isTwice(at, event) }
    this.move(at)
    return true
  }

  move(at) {
    if (!this.isOpen || !this.isHere(at)) return
    this.loose = clampPoint([at.x, at.y], this.size(at))
    this.showPath()
  }

  hover(at) {
    if (at) this.move(at)
  }

  up(at, event) {
    const { pressed } = this
    this.pressed = null
    if (!this.isOpen || !pressed || !this.isHere(at)) return
    const dragged = apart(at.canvas, pressed.at.canvas) >= CLICK_PX
    this.last = { canvas: at.canvas, time: event?.timeStamp ?? 0 }
    if (pressed.fresh && !dragged) return this.showPath() // a click began it; the next one goes on
    if (!dragged && (pressed.twice || this.isAtStart(at))) return this.close()
    this.points.push(clampPoint([at.x, at.y], this.size(at)))
    this.loose = null
    if (this.points.length === this.most) this.close()
    else this.showPath()
  }

  isHere(at) {
    return at.plane === "frame" && at.frame === this.frame
  }

  isTwice(at, event) {
    return this.most === Infinity && this.last && (event?.timeStamp ?? Infinity) - this.last.time < TWICE_MS && apart(at.canvas, this.last.canvas) < CLICK_PX
  }

  isAtStart(at) {
    return this.most === Infinity && this.points.length >= 3 && apart(at.pane.toCanvas(...this.points[0]), at.canvas) < NEAR_PX
  }

  showPath() {
    this.show({ points: this.loose ? [...this.points, this.loose] : this.points }, true)
  }

  /** The path is complete. */
  close() {
    const geometry = { points: this.points }
    if (isWhole(this.name, geometry)) return this.finish(geometry)
    if (this.most !== Infinity && this.points.length === this.most) this.giveUp() // all on one spot: a click that was not meant
    else this.marks.say(this.name === "polygon" ? "A polygon has at least three corners." : `Click where the ${this.name} goes on.`)
  }

  /** The last point is taken back. */
  back() {
    this.points = this.points.slice(0, -1)
    if (this.points.length) this.showPath()
    else this.giveUp()
  }

  giveUp() {
    this.points = []
    this.loose = this.pressed = this.last = null
    super.giveUp()
  }

  settle() {
    const geometry = { points: this.points }
    if (this.name === "polygon" && this.isOpen && isWhole(this.name, geometry)) this.finish(geometry)
    else this.giveUp()
  }

  /** Only the press is given up: two fingers zoom in the middle of a polygon. */
  cancel() {
    if (this.pressed?.fresh) return this.giveUp()
    this.pressed = this.loose = null
    if (this.isOpen) this.showPath()
  }
}

/** What of the marks of a pane lies under a place: {mark, part, index?}, what is chosen before all else. */
export function grasp(marks, at, event) {
  const { pane } = at
  if (at.plane !== "frame" || !pane.matrix) return null
  const toCanvas = (x, y) => pane.toCanvas(x, y)
  const here = marks.visibleOn(at.frame)
  const chosen = here.find((mark) => mark === marks.selected)
  const order = [...(chosen ? [chosen] : []), ...here.filter((mark) => mark !== chosen).reverse()]
  let body = null
  for (const mark of order) {
    const handles = mark === chosen && marks.isMine(mark)
    const found = hit(mark.kind, mark.geometry, at.canvas, toCanvas, { reach: reachOf(event), handles })
    if (found && found.part !== "body") return { mark, ...found }
    if (found && (!body || sizeOf(mark) < sizeOf(body.mark))) body = { mark, ...found }
  }
  return body
}

/** A smaller mark inside a larger one is the one that is meant. */
function sizeOf({ kind, geometry }) {
  if (kind === "box") return geometry.width * geometry.height
  if (kind === "ellipse") return geometry.rx * geometry.ry * 4
  const across = [0, 1].map((axis) => geometry.points.map((point) => point[axis]))
  return across.reduce((product, places) => product * (Math.max(...places) - Math.min(...places)), 1)
}

/** Moves a mark, or one of its handles; a click only chooses. */
export class EditTool {
  constructor(marks, grasped) {
    Object.assign(this, { marks, ...grasped })
    this.name = "edit"
    this.cursor = grasped.part === "handle" || grasped.part === "middle" ? "pointer" : "move"
  }

  down(at) {
    this.from = at
    this.start = this.mark.geometry
    this.marks.select(this.mark.mark)
    return true
  }

  move(at) {
    if (!this.from || !this.marks.isMine(this.mark) || apart(at.canvas, this.from.canvas) < (this.changed ? 0 : CLICK_PX)) return
    this.changed = this.shape(at)
    this.marks.preview(this.mark, this.changed)
  }

  shape(at) {
    const { mark, start } = this
    const size = at.pane.facts
    const to = [at.x, at.y]
    if (this.part === "middle") return withVertex(start, this.index, to, size)
    if (this.part === "handle") return withHandle(mark.kind, start, this.index, to, size)
    return moved(mark.kind, start, at.x - this.from.x, at.y - this.from.y, size)
  }

  up(at, event) {
    if (!this.from) return
    const { mark, changed, marks } = this
    if (changed) this.move(at)
    this.from = null
    if (changed) {
      marks.preview(null)
      return marks.change(mark.mark, { geometry: this.changed })
    }
    const isCorner = this.part === "handle" && (mark.kind === "polygon" || mark.kind === "freehand")
    if (!isCorner) return
    if (event?.altKey) marks.removeVertex(this.index)
    else marks.chooseVertex(this.index)
  }

  cancel() {
    this.from = null
    this.marks.preview(null)
  }
}

/** The outline of a mark without a corner, or a sentence why not. */
export function lessVertex({ kind, geometry }, at) {
  return withoutVertex(kind, geometry, at) ?? "An outline has at least three corners."
}

/** One tool for each kind. */
export function toolsOf(marks) {
  const tools = [
    new CornerTool(marks, "box"), new CornerTool(marks, "ellipse"),
    new PathTool(marks, "polygon"), new FreehandTool(marks, "freehand"), new PointTool(marks, "point"),
    new PathTool(marks, "length", 2), new PathTool(marks, "angle", 3),
  ]
  return new Map(tools.map((tool) => [tool.name, tool]))
}
