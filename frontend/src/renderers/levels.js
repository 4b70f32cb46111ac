// Which pixels of a picture a screen can show: the visible part, and where it is shown smaller than it is, averages.
//
// Both renderers draw a minified picture from one whose sides are halved as often as that leaves no fewer pixels than
// the screen has: every stored pixel counts, and a change of the window touches a few pixels for each one seen.

import { toImage } from "../geometry.js"

const BUDGET_BYTES = 64 * 2 ** 20
const MOST_HALVINGS = 5

/** Canvas pixels for one picture pixel, along and down. */
export function scales([a, b, c, d]) {
  return [Math.hypot(a, b), Math.hypot(c, d)]
}

/** How often a picture's sides may be halved before it has fewer pixels than are seen. */
export function halvings(matrix) {
  const scale = Math.max(...scales(matrix))
  return Math.min(MOST_HALVINGS, Math.max(0, Math.floor(-Math.log2(scale) + 1e-9)))
}

/** Whether pixels are seen as squares: only where none is smaller than one of the screen. */
export function isCrisp({ matrix, smooth }) {
  return !smooth && Math.min(...scales(matrix)) >= 1 - 1e-9
}

/** The part of a picture (or of one halved some times) that a canvas of this size sees: [left, top, right, bottom]. */
export function visiblePart({ rows, columns }, matrix, width, height, margin = 0, halved = 0) {
  const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => toImage(matrix, x, y))
  const size = 2 ** halved
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis] / size))
  const within = (at, most) => Math.min(most, Math.max(0, at))
  return [
    within(Math.floor(Math.min(...xs)) - margin, columns), within(Math.floor(Math.min(...ys)) - margin, rows),
    within(Math.ceil(Math.max(...xs)) + margin, columns), within(Math.ceil(Math.max(...ys)) + margin, rows),
  ]
}

/** A picture with sides half as long; whole numbers stay whole. A last odd row or column counts by itself. */
export function halved({ rows, columns, channels, kind, values }) {
  const [tall, wide] = [(rows + 1) >> 1, (columns + 1) >> 1]
  const result = new values.constructor(tall * wide * channels)
  const whole = kind[0] !== "f"
  for (let row = 0, at = 0; row < tall; row++) {
    const upper = 2 * row * columns
    const lower = Math.min(2 * row + 1, rows - 1) * columns
    for (let column = 0; column < wide; column++) {
      const left = 2 * column
      const right = Math.min(left + 1, columns - 1)
      for (let channel = 0; channel < channels; channel++, at++) {
        const sum = values[(upper + left) * channels + channel] + values[(upper + right) * channels + channel]
          + values[(lower + left) * channels + channel] + values[(lower + right) * channels + channel]
        result[at] = whole ? (sum + 2) >> 2 : sum / 4
      }
    }
  }
  return { rows: tall, columns: wide, channels, kind, values: result }
}

/** Keeps halved pictures by their key; the one not asked for longest goes first when there are too many bytes. */
export class Levels {
  constructor(budget = BUDGET_BYTES) {
    this.budget = budget
    this.bytes = 0
    this.held = new Map()
  }

  get(picture, times) {
    if (times === 0) return picture
    const key = `${picture.key} ${times}`
    let found = this.held.get(key)
    if (found) this.held.delete(key)
    else {
      found = halved(this.get(picture, times - 1))
      this.bytes += found.values.byteLength
    }
    this.held.set(key, found)
    for (const [oldest, { values }] of this.held) {
      if (this.bytes <= this.budget || oldest === key) break
      this.held.delete(oldest)
      this.bytes -= values.byteLength
    }
    return found
  }
}

export const levels = new Levels() // one for all panes: two of them often show one case
