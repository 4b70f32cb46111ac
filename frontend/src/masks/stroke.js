// One act on one structure, from pointer down to pointer up: what its frames were before, and what they are after.

import { boxOf, lineOf } from "./grid.js"
import { isSameRuns } from "./runs.js"

export class Stroke {
  /**
   * @param {import("./grid.js").Grid} grid
   * @param {string} structure
   * @param {(frame: number) => ((place: number) => boolean) | null} guard which pixels of a frame may be painted; null: all
   */
  constructor(grid, structure, guard = () => null) {
    Object.assign(this, { grid, structure, guard })
    this.before = new Map()
    this.guards = new Map()
  }

  /** Paint (1) or erase (0) part of a line of a slice; returns whether a pixel changed. */
  line(plane, index, y, from, to, value, allowed) {
    const { grid } = this
    const { frame, start, step } = lineOf(grid, plane, index, y)
    if (!this.before.has(frame)) this.before.set(frame, grid.runs(frame)) // kept as code: that of a stored frame is at hand
    const guard = value ? this.guardOf(frame) : null
    const inRange = allowed?.(frame) ?? null
    const may = guard && inRange ? (place) => inRange(place) && guard(place) : guard ?? inRange
    return grid.write(frame, start + from * step, step, to - from, value, may) > 0
  }

  guardOf(frame) {
    if (!this.guards.has(frame)) this.guards.set(frame, this.guard(frame))
    return this.guards.get(frame)
  }

  /** Make a slice what `slice` says (null: empty), within what may be painted. */
  replace(plane, index, slice, { rows, columns }) {
    for (let y = 0; y < rows; y++) {
      let from = 0
      for (let x = 1; x <= columns; x++) {
        const value = slice ? slice[y * columns + from] : 0
        if (x < columns && (slice ? slice[y * columns + x] : 0) === value) continue
        this.line(plane, index, y, from, x, value)
        from = x
      }
    }
    this.grid.note(boxOf(plane, index, [0, 0, columns, rows]))
  }

  /** As if it had not been begun. */
  takeBack() {
    for (const [frame, runs] of this.before) this.grid.setRuns(frame, runs)
  }

  /** {structure, before, after} with the frames that are another than before, or null where there is none. */
  finish() {
    const before = new Map()
    const after = new Map()
    for (const [frame, runs] of [...this.before].sort(([one], [other]) => one - other)) {
      const now = this.grid.runs(frame)
      if (isSameRuns(runs, now)) continue
      before.set(frame, runs)
      after.set(frame, now)
    }
    return after.size ? { structure: this.structure, before, after } : null
  }
}
