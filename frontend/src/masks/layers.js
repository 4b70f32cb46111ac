// Masks as a pane draws them. A stroke changes a few lines of a large slice: only those are drawn anew.

import { planeSize } from "../planes.js"
import { around } from "./grid.js"

/** What one pane has been given, and what of it is not on the screen yet. */
export class PaneLayers {
  constructor(pane) {
    this.pane = pane
    this.slices = new Map() // name of a source -> what the pane has of it
    this.version = 0
    this.given = []
    this.stopListening = pane.on("painted", () => this.learnPainted())
  }

  /**
   * @param {{name: string, grid: import("./grid.js").Grid, colour: string, fill: number, outline: boolean}[]} sources
   * @returns {object[]} layers for the renderer
   */
  build(sources) {
    const { facts, plane, index } = this.pane
    this.given = []
    if (!facts) return []
    const size = planeSize(facts, plane)
    const layers = []
    for (const { name, grid, colour, fill, outline } of sources) {
      if (!grid.count) continue
      const slice = this.follow(name, grid, plane, index, size)
      const values = plane === "frame" ? grid.mask(index) : slice.values
      if (!values) continue
      this.given.push(slice)
      layers.push({
        kind: "mask", key: `mask:${name}`, version: slice.version, rows: size.rows, columns: size.columns, values, colour, fill, outline,
        ...(slice.dirty && { dirty: slice.dirty, since: slice.painted }),
      })
    }
    return layers
  }

  /** The slice of a source, brought up to date. `dirty` is null: nothing to draw; undefined: all of it. */
  follow(name, grid, plane, index, size) {
    let slice = this.slices.get(name)
    const isSame = slice && slice.grid === grid && slice.plane === plane && slice.index === index
    const changed = isSame ? grid.changedSince(slice.looked, plane, index) : undefined
    if (!isSame) {
      slice = { grid, plane, index, values: null, dirty: null, painted: 0 }
      this.slices.set(name, slice)
    }
    slice.looked = grid.version
    if (changed === null) return slice
    slice.version = ++this.version
    slice.dirty = changed && slice.dirty !== undefined ? around(slice.dirty, changed) : undefined
    if (plane !== "frame") {
      slice.values ??= new Uint8Array(size.rows * size.columns)
      grid.copyInto(slice.values, plane, index, changed ?? [0, 0, size.columns, size.rows])
    }
    return slice
  }

  learnPainted() {
    if (this.pane.hidden) return // nothing of it reached the renderer
    for (const slice of this.given) {
      slice.dirty = null
      slice.painted = slice.version
    }
  }

  close() {
    this.stopListening()
  }
}
