// What others painted, to be looked at only, or to be taken over.

import { planeSize } from "../planes.js"
import { MaskError } from "./runs.js"
import { fetchGrid, framesOf, gridOf } from "./stored.js"

const UNKNOWN_COLOUR = "#bbbbbb"

export class Others {
  /** @param {import("./masks.js").Masks} masks */
  constructor(masks) {
    this.masks = masks
    this.shown = new Map() // title -> {structures: [{name, colour, grid}], outline, hidden}
    this.readers = [] // {reader, masks: names of structures}: whose masks may be laid over
  }

  enter(readers = []) {
    this.shown.clear()
    this.readers = readers
  }

  /** Who else has painted on the case became known, for example after the reader's own answer. */
  learn(readers = []) {
    if (!this.masks.facts || JSON.stringify(readers) === JSON.stringify(this.readers)) return
    this.readers = readers
    this.masks.panel.show()
  }

  /** Titles of what is shown or could be. */
  titles() {
    const readers = this.readers.filter(({ masks }) => masks?.length).map(({ reader }) => reader)
    return [...new Set([...this.shown.keys(), ...readers])]
  }

  /** Whether training and evaluation use what this reader painted. */
  isReference(title) {
    return this.readers.some(({ reader, is_reference: isReference }) => reader === title && isReference)
  }

  /** As sources of layers: see layers.js. */
  sources() {
    const seen = [...this.shown].filter(([, { hidden }]) => !hidden)
    return seen.flatMap(([title, { structures, outline }]) =>
      structures.map(({ name, colour, grid }) => ({ name: `${title}: ${name}`, grid, colour, fill: outline ? 0 : 0.25, outline: true })))
  }

  /**
   * @param {string} title
   * @param {Record<string, Record<string, string> | Map<number, Uint8Array>> | null} found frames by structure; null takes them away
   */
  show(title, found, { outline = true } = {}) {
    const { masks } = this
    this.shown.delete(title)
    if (found && masks.facts) {
      try {
        const structures = Object.entries(found).map(([name, frames]) => ({
          name, colour: masks.find(name)?.colour ?? UNKNOWN_COLOUR, grid: gridOf(masks.facts, framesOf(frames)),
        }))
        this.shown.set(title, { structures, outline, hidden: false })
      } catch (error) {
        if (!(error instanceof MaskError)) throw error
        masks.fault(`The mask “${title}” cannot be shown: ${error.message}`)
      }
    }
    masks.refresh()
  }

  hide(title, hidden) {
    const layer = this.shown.get(title)
    if (layer) layer.hidden = hidden
    this.masks.refresh()
  }

  /** Another reader's masks, where this reader may see them. */
  async showReader(reader) {
    const { masks } = this
    const { facts, aborter } = masks
    const names = this.readers.find((one) => one.reader === reader)?.masks ?? masks.structures.map(({ name }) => name)
    try {
      const found = {}
      for (const name of names) {
        const grid = await fetchGrid(facts, name, reader, aborter.signal)
        if (grid.count) found[name] = grid.frameRuns()
      }
      if (aborter.signal.aborted) return
      if (Object.keys(found).length) this.show(reader, found)
      else masks.say(`${reader} has painted nothing on this case.`)
    } catch (error) {
      if (!aborter.signal.aborted) masks.fault(`The masks of ${reader} cannot be shown: ${error.message}`)
    }
  }

  /** Take over what is only shown, one act for each structure; locked ones stay as they are. */
  adopt(title) {
    const { masks } = this
    const before = masks.active
    const size = planeSize(masks.facts, "frame")
    for (const { name, grid } of this.shown.get(title)?.structures ?? []) {
      masks.active = masks.find(name)
      const stroke = masks.active ? masks.begin() : null
      if (!stroke) continue
      const frames = new Set([...grid.painted(), ...stroke.grid.painted()])
      for (const frame of frames) stroke.replace("frame", frame, grid.slice("frame", frame), size)
      masks.finish(stroke)
    }
    masks.active = before
    masks.panel.show()
  }
}
