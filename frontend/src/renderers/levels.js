// Which pixels of a picture a screen can show: the visible part, and where it is shown smaller than it is, fewer.
//
// Both renderers draw a minified picture from one that was halved along each side as often as that leaves no fewer
// pixels than the screen has: every stored pixel counts, and a new window touches a few pixels for each one seen.
// Of a mask it is the other way round: what is painted stays as large as a pixel of the screen, so that a lesion of
// two pixels is not lost where a whole radiograph fits the screen.

import { toImage } from "../geometry.js"
import { changeOf } from "./looks.js"

const BUDGET_BYTES = 64 * 2 ** 20
const MOST_HALVINGS = 5

/** Canvas pixels for one picture pixel, along and down. */
export function scales([a, b, c, d]) {
  return [Math.hypot(a, b), Math.hypot(c, d)]
}

/** How often a picture may be halved, [across, down], before it has fewer pixels than are seen. */
export function halvings(matrix) {
  return scales(matrix).map((scale) => Math.min(MOST_HALVINGS, Math.max(0, Math.floor(-Math.log2(scale) + 1e-9))))
}

/** Whether pixels are seen as squares: only where none is smaller than one of the screen. */
export function isCrisp({ matrix, smooth }) {
  return !smooth && Math.min(...scales(matrix)) >= 1 - 1e-9
}

/** The part of a picture that was halved some times which a canvas of this size sees: [left, top, right, bottom]. */
export function visiblePart({ rows, columns }, matrix, width, height, times = [0, 0], margin = 0) {
  const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => toImage(matrix, x, y))
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis] / 2 ** times[axis]))
  const within = (at, most) => Math.min(most, Math.max(0, at))
  return [
    within(Math.floor(Math.min(...xs)) - margin, columns), within(Math.floor(Math.min(...ys)) - margin, rows),
    within(Math.ceil(Math.max(...xs)) + margin, columns), within(Math.ceil(Math.max(...ys)) + margin, rows),
  ]
}

/** A picture half as wide, half as tall or both; whole numbers stay whole. A last odd row or column counts by itself. */
export function halved({ rows, columns, channels, kind, values }, across = true, down = true) {
  const [tall, wide] = [down ? (rows + 1) >> 1 : rows, across ? (columns + 1) >> 1 : columns]
  const result = new values.constructor(tall * wide * channels)
  const whole = kind[0] !== "f"
  for (let row = 0, at = 0; row < tall; row++) {
    const upper = (down ? 2 * row : row) * columns
    const lower = down ? Math.min(2 * row + 1, rows - 1) * columns : upper
    for (let column = 0; column < wide; column++) {
      const left = across ? 2 * column : column
      const right = across ? Math.min(left + 1, columns - 1) : left
      for (let channel = 0; channel < channels; channel++, at++) {
        const sum = values[(upper + left) * channels + channel] + values[(upper + right) * channels + channel]
          + values[(lower + left) * channels + channel] + values[(lower + right) * channels + channel]
        result[at] = whole ? Math.floor((sum + 2) / 4) : sum / 4
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

  /** @param {[number, number]} times how often halved, across and down */
  get(picture, [across, down]) {
    if (!across && !down) return picture
    const key = `${picture.key} ${across} ${down}`
    let found = this.held.get(key)
    if (found) this.held.delete(key)
    else {
      // Both sides at once as long as both are wanted: so the steps on the way serve other zooms, too.
      const from = this.get(picture, [across > down || across === down ? across - 1 : across, down > across || across === down ? down - 1 : down])
      found = halved(from, across >= down, down >= across)
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

/** How many pixels of a mask, [across, down], are taken together so that none is smaller than one of the screen. */
export function poolSizes(matrix, layer, picture) {
  const [along, down] = scales(matrix)
  const sizes = [along * (picture.columns / layer.columns), down * (picture.rows / layer.rows)]
  return sizes.map((scale) => 2 ** Math.min(MOST_HALVINGS, Math.max(0, Math.ceil(-Math.log2(scale) - 1e-9))))
}

/** Masks as one renderer shows them, pixels taken together where it shows them small, and what changed since it last asked. */
export class PooledMasks {
  constructor() {
    this.held = new Map()
  }

  /**
   * @returns {{rows: number, columns: number, values: Uint8Array, size: [number, number], change: number[] | null | undefined}}
   *   a pixel of it stands for `size` pixels of the layer; `change` as changeOf tells it, in its own pixels
   */
  get(layer, size) {
    const [wide, tall] = size
    const before = this.held.get(layer.key)
    const same = before && before.rows === layer.rows && before.columns === layer.columns && before.size.join() === size.join()
    const change = same ? changeOf(layer, before.version) : undefined
    const seen = { size, rows: layer.rows, columns: layer.columns, version: layer.version }
    seen.pool = same ? before.pool : emptyPool(layer, wide, tall)
    const part = change === null ? null : pooledPart(change ?? [0, 0, layer.columns, layer.rows], wide, tall)
    if (wide === 1 && tall === 1) seen.pool.values = layer.values
    else if (part) pool(layer, seen.pool, part, wide, tall)
    this.held.set(layer.key, seen)
    return { ...seen.pool, size, change: change ? part : change }
  }

  /** Forget the masks that are no longer shown. */
  keep(keys) {
    for (const key of this.held.keys()) if (!keys.has(key)) this.held.delete(key)
  }
}

function emptyPool({ rows, columns }, wide, tall) {
  const made = { rows: Math.ceil(rows / tall), columns: Math.ceil(columns / wide), values: null }
  if (wide > 1 || tall > 1) made.values = new Uint8Array(made.rows * made.columns)
  return made
}

function pooledPart([x, y, width, height], wide, tall) {
  const [left, top] = [Math.floor(x / wide), Math.floor(y / tall)]
  return [left, top, Math.ceil((x + width) / wide) - left, Math.ceil((y + height) / tall) - top]
}

function pool({ rows, columns, values }, made, [left, top, width, height], wide, tall) {
  const end = Math.min(columns, (left + width) * wide)
  const shift = Math.log2(wide)
  for (let row = top; row < top + height; row++) {
    const to = row * made.columns
    made.values.fill(0, to + left, to + left + width)
    for (let line = row * tall; line < Math.min(rows, (row + 1) * tall); line++) {
      const from = line * columns
      for (let column = left * wide; column < end; column++) if (values[from + column]) made.values[to + (column >> shift)] = 1
    }
  }
}
