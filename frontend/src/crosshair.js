// One point of a volume, seen in each of its planes as two crossing lines.

import { fromVoxel } from "./planes.js"

const NEAR_PX = 7 // of a line, to take hold of it; in CSS pixels
const GAP_PX = 12 // around the point, so that the lines do not hide it
const COLOURS = { frame: "#56b4e9", row: "#e69f00", column: "#44bb99" } // of the lines that stand for each plane
const ACROSS = { frame: ["column", "row"], row: ["column", "frame"], column: ["row", "frame"] } // [upright, level] line

export class Crosshair {
  /** @param {() => object[]} panes those that show the volume */
  constructor(panes) {
    this.panes = panes
    this.at = null // [column, row, frame], continuous; null while there is none
    this.painter = (context, pane) => this.paint(context, pane)
  }

  moveTo(voxel) {
    const { frames = 1, rows, columns } = this.panes()[0].facts
    const sizes = [columns, rows, frames]
    this.at = voxel.map((part, axis) => Math.min(sizes[axis] - 0.01, Math.max(0, part)))
    for (const pane of this.panes()) {
      pane.reveal(this.at)
      pane.repaintOver()
    }
  }

  /** A pane went to another picture: the point goes along. */
  follow(pane) {
    if (!this.at || !pane.facts) return
    const axis = { column: 0, row: 1, frame: 2 }[pane.plane]
    if (Math.floor(this.at[axis]) === pane.index) return
    this.at = this.at.map((part, one) => (one === axis ? pane.index + 0.5 : part))
    for (const other of this.panes()) other.repaintOver()
  }

  placeIn(pane) {
    const { x, y } = fromVoxel(pane.plane, ...this.at)
    return pane.toCanvas(x, y)
  }

  isNear(pane, [x, y]) {
    if (!this.at || !pane.matrix) return false
    const [atX, atY] = this.placeIn(pane)
    return Math.min(Math.abs(x - atX), Math.abs(y - atY)) <= NEAR_PX * (window.devicePixelRatio || 1)
  }

  /** The tool for a drag that begins here, or null: at a line, or anywhere with Alt. */
  grab(place, event) {
    const { pane } = place
    if (!this.at || !pane.matrix) return null
    const free = !pane.tool && this.isNear(pane, place.canvas)
    return free || event.altKey ? this.tool() : null
  }

  tool() {
    const go = (place) => this.moveTo(place.voxel)
    return { name: "crosshair", down: go, move: go, up() {}, cancel() {} }
  }

  paint(context, pane) {
    if (!this.at || !this.panes().includes(pane)) return
    const [x, y] = this.placeIn(pane)
    const { width, height } = pane.size()
    const ratio = window.devicePixelRatio || 1
    const gap = GAP_PX * ratio
    const [upright, level] = ACROSS[pane.plane]
    // Quarter turns change which line of the screen stands for which plane.
    const turned = Math.abs(pane.matrix[1]) > Math.abs(pane.matrix[0])
    context.lineWidth = ratio
    context.globalAlpha = 0.8
    for (const [name, ends] of [
      [turned ? level : upright, [[x, 0, x, y - gap], [x, y + gap, x, height]]],
      [turned ? upright : level, [[0, y, x - gap, y], [x + gap, y, width, y]]],
    ]) {
      context.strokeStyle = COLOURS[name]
      context.beginPath()
      for (const [fromX, fromY, toX, toY] of ends) {
        context.moveTo(fromX, fromY)
        context.lineTo(toX, toY)
      }
      context.stroke()
    }
  }
}

/** The colour of a plane's name and of the lines that stand for it. */
export function planeColour(plane) {
  return COLOURS[plane]
}
