// Masks on a canvas without a graphics card: one sheet as large as the screen, on which only what changed is drawn.
//
// A pixel of the screen belongs to a mask when the mask's pixel under its centre does, and to the outline when, in
// addition, one of the pixels up to the outline's width left, right, above or below does not. The other renderer's
// shader says the same, so masks look the same to the pixel.

import { PooledMasks, poolSizes } from "./levels.js"
import { parts } from "./looks.js"

/**
 * Where the mask pixel of each screen column and row begins in the mask's values, or -1 outside: [across, down].
 * A mask is {rows, columns, values, step}; `step` says how many of the picture's pixels one of its own covers, [across, down].
 */
export function placesOf({ rows, columns, step }, [a, b, c, d, e, f], [left, top, right, bottom]) {
  const turned = a === 0 && d === 0
  const column = (at) => inside(Math.floor((turned ? (at - f) / b : (at - e) / a) / step[0]), columns, 1)
  const row = (at) => inside(Math.floor((turned ? (at - e) / c : (at - f) / d) / step[1]), rows, columns)
  const across = Int32Array.from({ length: right - left }, (_, at) => (turned ? row : column)(left + at + 0.5))
  const down = Int32Array.from({ length: bottom - top }, (_, at) => (turned ? column : row)(top + at + 0.5))
  return [across, down]
}

function inside(at, count, step) {
  return at >= 0 && at < count ? at * step : -1
}

/** Which pixels of a part of the screen are in a mask. */
export function seenMask(mask, matrix, part) {
  const [across, down] = placesOf(mask, matrix, part)
  const { values } = mask
  const seen = new Uint8Array(across.length * down.length)
  let first = 0
  let last = across.length
  while (first < last && across[first] < 0) first++
  while (last > first && across[last - 1] < 0) last--
  for (let y = 0; y < down.length; y++) {
    const from = down[y]
    if (from < 0) continue
    const line = y * across.length
    for (let x = first; x < last; x++) seen[line + x] = values[from + across[x]]
  }
  return seen
}

/** The smallest rectangle [x, y, width, height] that holds all of a mask, or null. */
export function boundsOf({ rows, columns, values }) {
  let [left, top, right, bottom] = [columns, -1, -1, -1]
  for (let row = 0; row < rows; row++) {
    const line = values.subarray(row * columns, (row + 1) * columns)
    const first = line.indexOf(1)
    if (first < 0) continue
    if (top < 0) top = row
    bottom = row
    if (first < left) left = first
    const last = line.lastIndexOf(1)
    if (last > right) right = last
  }
  return top < 0 ? null : [left, top, right - left + 1, bottom - top + 1]
}

/** A rectangle of a mask on the screen, as [left, top, right, bottom] in whole pixels, with a border. */
function onScreen([x, y, width, height], { step }, [a, b, c, d, e, f], border) {
  const [xs, ys] = [[x * step[0], (x + width) * step[0]], [y * step[1], (y + height) * step[1]]]
  const corners = xs.flatMap((at) => ys.map((down) => [a * at + c * down + e, b * at + d * down + f]))
  const [across, down] = [0, 1].map((axis) => corners.map((corner) => corner[axis]))
  return [
    Math.floor(Math.min(...across)) - border, Math.floor(Math.min(...down)) - border,
    Math.ceil(Math.max(...across)) + border, Math.ceil(Math.max(...down)) + border,
  ]
}

function clipped([left, top, right, bottom], width, height) {
  return [Math.max(0, left), Math.max(0, top), Math.min(width, right), Math.min(height, bottom)]
}

function joined(one, other) {
  if (!one || !other) return one ?? other
  return [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[2], other[2]), Math.max(one[3], other[3])]
}

export class MaskSheet {
  constructor(kind) {
    this.canvas = document.createElement("canvas")
    this.context = this.canvas.getContext("2d", kind)
    this.pooled = new PooledMasks()
    this.bounds = new Map() // by key: the rectangle of the mask that holds all of it
    this.look = "" // in which the sheet was drawn
    this.filled = null // the part of the sheet that holds something
  }

  /** Draws these mask layers, the last one on top, into a context whose transform is none. */
  draw(context, picture, layers, matrix, line) {
    const { width, height } = context.canvas
    const masks = layers.map((layer) => this.follow(layer, picture, matrix))
    const look = JSON.stringify([
      width, height, matrix, line, masks.map(({ key, colour, fill, outline, rows, columns, step }) => [key, colour, fill, outline, rows, columns, step]),
    ])
    const same = this.look === look
    this.look = look
    this.fit(width, height)
    let stale = same ? null : this.filled
    for (const mask of masks) {
      const changed = same && mask.change !== undefined ? mask.change : joinedBounds(mask.bounds, same && mask.before)
      if (changed) stale = joined(stale, onScreen(changed, mask, matrix, line + 1))
    }
    if (stale) this.fill(clipped(stale, width, height), masks, matrix, line)
    const filled = masks.reduce((all, mask) => (mask.bounds ? joined(all, onScreen(mask.bounds, mask, matrix, line + 1)) : all), null)
    this.filled = filled && clipped(filled, width, height)
    if (!filled) return
    const [left, top, right, bottom] = this.filled
    const [wide, tall] = [right - left, bottom - top]
    if (wide > 0 && tall > 0) context.drawImage(this.canvas, left, top, wide, tall, left, top, wide, tall)
    else this.filled = null
  }

  /** A layer as it is seen, what of it changed since it was drawn last, and where it is now and was before. */
  follow(layer, picture, matrix) {
    const seen = this.pooled.get(layer, poolSizes(matrix, layer, picture))
    const before = this.bounds.get(layer.key) ?? null
    const bounds = seen.change === undefined ? boundsOf(seen) : joinedBounds(before, seen.change)
    this.bounds.set(layer.key, bounds)
    const step = [(picture.columns / layer.columns) * seen.size[0], (picture.rows / layer.rows) * seen.size[1]]
    const { key, colour, fill, outline } = layer
    return { ...seen, key, colour, fill, outline, step, bounds, before }
  }

  fit(width, height) {
    if (this.canvas.width === width && this.canvas.height === height && this.data) return
    this.canvas.width = width
    this.canvas.height = height
    this.data = new ImageData(width, height)
    this.words = new Uint32Array(this.data.data.buffer)
    this.filled = null
  }

  fill([left, top, right, bottom], masks, matrix, line) {
    if (left >= right || top >= bottom) return
    const { words } = this
    const { width, height } = this.canvas
    for (let y = top; y < bottom; y++) words.fill(0, y * width + left, y * width + right)
    for (const mask of masks) {
      if (!mask.bounds) continue
      const place = onScreen(mask.bounds, mask, matrix, 0)
      const part = clipped([Math.max(left, place[0]), Math.max(top, place[1]), Math.min(right, place[2]), Math.min(bottom, place[3])], width, height)
      if (part[0] < part[2] && part[1] < part[3]) paintMask(mask, matrix, part, line, words, width)
    }
    this.context.putImageData(this.data, 0, 0, left, top, right - left, bottom - top)
  }
}

function joinedBounds(one, other) {
  if (!one || !other) return one ?? other ?? null
  const [x, y] = [Math.min(one[0], other[0]), Math.min(one[1], other[1])]
  return [x, y, Math.max(one[0] + one[2], other[0] + other[2]) - x, Math.max(one[1] + one[3], other[1] + other[3]) - y]
}

function paintMask(layer, matrix, [left, top, right, bottom], line, words, width) {
  const seen = seenMask(layer, matrix, [left - line, top - line, right + line, bottom + line])
  const across = right - left + 2 * line
  const [red, green, blue] = parts(layer.colour)
  const colour = (blue << 16) | (green << 8) | red
  const fill = Math.round((layer.fill ?? 0) * 255)
  for (let y = top; y < bottom; y++) {
    let at = (y - top + line) * across + line
    let to = y * width + left
    for (let x = left; x < right; x++, at++, to++) {
      if (!seen[at]) continue
      const alpha = layer.outline && isEdge(seen, at, across, line) ? 255 : fill
      if (alpha === 255 || !words[to]) words[to] = (alpha << 24) | colour
      else if (alpha) words[to] = over(words[to], colour, alpha)
    }
  }
}

function isEdge(seen, at, across, line) {
  for (let step = 1; step <= line; step++) {
    if (!(seen[at - step] && seen[at + step] && seen[at - step * across] && seen[at + step * across])) return true
  }
  return false
}

/** One colour over another that may be seen through; neither is multiplied by its alpha. */
function over(under, colour, alpha) {
  const below = (under >>> 24) * (1 - alpha / 255)
  const whole = alpha + below
  const mix = (shift) => Math.round((((colour >> shift) & 0xff) * alpha + ((under >> shift) & 0xff) * below) / whole) << shift
  return (Math.round(whole) << 24) | mix(16) | mix(8) | mix(0)
}
