// One structure of one case: which pixels are painted. Only painted frames take memory: a volume of 600 frames with a
// small lesion is as light as the lesion. A frame is unfolded from its code when it is looked at, and the ones looked at
// longest ago are folded again.

import { planeCount, planeSize } from "../planes.js"
import { countOnes, decode, eachRun, emptyRuns, encode } from "./runs.js"

const MOST_UNFOLDED = 48 << 20 // bytes
const REMEMBERED = 256 // changes; who has seen none of them draws the whole slice anew

/** Where line `y` of a slice lies: in one stored frame, from `start` on, every `step` pixels. */
export function lineOf({ columns }, plane, index, y) {
  if (plane === "row") return { frame: y, start: index * columns, step: 1 }
  if (plane === "column") return { frame: y, start: index, step: columns }
  return { frame: index, start: y * columns, step: 1 }
}

/** What part of a volume a rectangle of a slice is: [from, to) of columns, rows and frames. */
export function boxOf(plane, index, [x, y, width, height]) {
  if (plane === "row") return { columns: [x, x + width], rows: [index, index + 1], frames: [y, y + height] }
  if (plane === "column") return { columns: [index, index + 1], rows: [x, x + width], frames: [y, y + height] }
  return { columns: [x, x + width], rows: [y, y + height], frames: [index, index + 1] }
}

/** The rectangle of a slice that a part of the volume touches, or null. */
export function rectangleIn(box, plane, index) {
  const [across, down, through] = {
    frame: [box.columns, box.rows, box.frames],
    row: [box.columns, box.frames, box.rows],
    column: [box.rows, box.frames, box.columns],
  }[plane]
  if (index < through[0] || index >= through[1]) return null
  return [across[0], down[0], across[1] - across[0], down[1] - down[0]]
}

/** The smallest rectangle around both; either may be null. */
export function around(one, other) {
  if (!one || !other) return one ?? other
  const [x, y] = [Math.min(one[0], other[0]), Math.min(one[1], other[1])]
  return [x, y, Math.max(one[0] + one[2], other[0] + other[2]) - x, Math.max(one[1] + one[3], other[1] + other[3]) - y]
}

export class Grid {
  /** @param {{frames?: number, rows: number, columns: number}} facts of the case */
  constructor(facts, mostUnfolded = MOST_UNFOLDED) {
    this.facts = facts
    this.mostUnfolded = mostUnfolded
    this.unfolded = new Set() // frames, the one looked at last at the end
    this.frames = facts.frames ?? 1
    this.rows = facts.rows
    this.columns = facts.columns
    this.size = facts.rows * facts.columns
    this.held = new Map() // frame -> {mask: Uint8Array | null, runs: Uint8Array | null, count}; at least one of the first two
    this.count = 0
    this.version = 0
    this.changes = []
    this.nothing = emptyRuns(this.size)
  }

  /** The mask of a frame, or null where nothing was ever painted. It is the grid's own memory: only to be read, at once. */
  mask(frame) {
    const held = this.held.get(frame)
    if (!held) return null
    held.mask ??= decode(held.runs, this.size)
    this.unfolded.delete(frame)
    this.unfolded.add(frame)
    if (this.unfolded.size * this.size > this.mostUnfolded && this.unfolded.size > 1) this.fold(this.unfolded.values().next().value)
    return held.mask
  }

  fold(frame) {
    this.runs(frame)
    this.held.get(frame).mask = null
    this.unfolded.delete(frame)
  }

  /** The mask of a frame to be written to by `write`. */
  own(frame) {
    if (!this.held.has(frame)) this.held.set(frame, { mask: new Uint8Array(this.size), runs: null, count: 0 })
    return this.mask(frame)
  }

  /** The code of a frame. */
  runs(frame) {
    const held = this.held.get(frame)
    if (!held) return this.nothing
    held.runs ??= encode(held.mask)
    return held.runs
  }

  /** The codes of all frames that are held: Map(frame -> code). */
  frameRuns() {
    return new Map([...this.held.keys()].map((frame) => [frame, this.runs(frame)]))
  }

  /**
   * Replace a frame by what a code says.
   *
   * @throws {MaskError} the code is not a mask of this size
   */
  setRuns(frame, runs) {
    const count = countOnes(runs, this.size) // first: a corrupt code changes nothing
    this.count += count - this.countIn(frame)
    this.unfolded.delete(frame)
    if (count) this.held.set(frame, { mask: null, runs, count })
    else this.held.delete(frame)
    this.note({ columns: [0, this.columns], rows: [0, this.rows], frames: [frame, frame + 1] })
  }

  countIn(frame) {
    return this.held.get(frame)?.count ?? 0
  }

  /** Frames with a painted pixel, in order. */
  painted() {
    return [...this.held].filter(([, held]) => held.count).map(([frame]) => frame).sort((one, other) => one - other)
  }

  /**
   * Set pixels of one line to 0 or 1; returns how many changed.
   *
   * @param {((place: number) => boolean) | null} may what protects pixels, by their place in the frame
   */
  write(frame, start, step, count, value, may = null) {
    if (!value && !this.held.has(frame)) return 0
    const mask = this.own(frame)
    let changed = 0
    for (let at = start, end = start + count * step; at < end; at += step) {
      if (mask[at] === value || (may && !may(at))) continue
      mask[at] = value
      changed++
    }
    if (!changed) return 0
    const held = this.held.get(frame)
    held.runs = null
    held.count += value ? changed : -changed
    this.count += value ? changed : -changed
    return changed
  }

  /** Say what was written, so that it is drawn. */
  note(box) {
    this.version += 1
    this.changes.push({ version: this.version, box })
    if (this.changes.length > REMEMBERED) this.changes.shift()
  }

  /**
   * What changed in a slice after a version: a rectangle, null for nothing, or `undefined` where that was too long ago.
   */
  changedSince(version, plane, index) {
    const first = this.changes[0]?.version ?? this.version + 1
    if (version < first - 1) return undefined
    let found = null
    for (let at = this.changes.length - 1; at >= 0 && this.changes[at].version > version; at--) {
      found = around(found, rectangleIn(this.changes[at].box, plane, index))
    }
    return found
  }

  /** A slice as an array of its own, or null where nothing is painted. */
  slice(plane, index) {
    if (plane === "frame") return this.countIn(index) ? this.mask(index).slice() : null
    const { rows, columns } = planeSize(this.facts, plane)
    const made = new Uint8Array(rows * columns)
    this.copyInto(made, plane, index, [0, 0, columns, rows])
    return made.includes(1) ? made : null
  }

  /** A rectangle of a slice, copied to where it lies in `slice`. */
  copyInto(slice, plane, index, [left, top, width, height]) {
    const { columns } = planeSize(this.facts, plane)
    for (let y = top; y < top + height; y++) {
      const { frame, start, step } = lineOf(this, plane, index, y)
      const held = this.held.get(frame)
      const to = y * columns + left
      if (!held?.mask) slice.fill(0, to, to + width)
      if (!held) continue
      const first = start + left * step
      if (!held.mask) this.copyFolded(held.runs, first, step, width, slice, to)
      else if (step === 1) slice.set(held.mask.subarray(first, first + width), to)
      else for (let x = 0, from = first; x < width; x++, from += step) slice[to + x] = held.mask[from]
    }
  }

  /** One line of a frame straight from its code: to see a volume from the side, nobody unfolds all its frames. */
  copyFolded(runs, first, step, count, slice, to) {
    eachRun(runs, this.size, (start, end) => {
      const from = Math.max(0, Math.ceil((start - first) / step))
      const last = Math.min(count, Math.floor((end - 1 - first) / step) + 1)
      if (from < last) slice.fill(1, to + from, to + last)
    })
  }

  /** The slices of a plane with a painted pixel, in order. */
  paintedSlices(plane) {
    if (plane === "frame") return this.painted()
    const found = new Uint8Array(planeCount(this.facts, plane))
    for (const frame of this.painted()) {
      const mask = this.mask(frame)
      for (let at = mask.indexOf(1); at >= 0; at = mask.indexOf(1, at + 1)) {
        if (plane === "row") {
          const row = Math.floor(at / this.columns)
          found[row] = 1
          at = (row + 1) * this.columns - 1 // on to the next row
        } else found[at % this.columns] = 1
      }
    }
    return [...found.keys()].filter((index) => found[index])
  }
}
