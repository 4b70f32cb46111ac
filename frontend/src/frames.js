// The frames of a case: loaded one by one around the one on the screen, nearest first, into one array.

import { LoadError, fetchChecked } from "./fetching.js"
import { parseNpy } from "./npy.js"
import { planeSize } from "./planes.js"

const AT_ONCE = 4 // a browser opens six connections to a server; answers and the next case need theirs

/**
 * The pixels of a case as they come in.
 *
 * `values` is the whole typed array, null until the first frame is there, 0 where nothing came yet.
 */
export class Volume {
  /** @param {(frame: number, signal: AbortSignal) => Promise<object>} [load] gives an array of one frame */
  constructor(facts, load = (frame, signal) => loadFrame(facts, frame, signal)) {
    this.facts = facts
    this.key = facts.pixels
    this.frames = facts.frames ?? 1
    this.rows = facts.rows
    this.columns = facts.columns
    this.channels = facts.channels ?? 1
    this.kind = null
    this.values = null
    this.loaded = 0
    this.load = load
    this.here = new Uint8Array(this.frames)
    this.pictures = new Map()
    this.asked = new Map() // frame -> {promise, aborter, needed}: on their way
    this.centre = null // what the reader looks at; null while nobody does
    this.failed = new Map() // frame -> error: not asked for again before the reader moves on
    this.listeners = new Set()
  }

  get bytes() {
    return this.values ? this.loaded * (this.values.byteLength / this.frames) : 0
  }

  isLoaded(frame) {
    return this.here[frame] === 1
  }

  isComplete() {
    return this.loaded === this.frames
  }

  /** Calls back with each frame that comes in, or with (frame, error); returns how to stop that. */
  onLoaded(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** A frame that is there, or null. */
  at(frame) {
    if (!this.isLoaded(frame)) return null
    let picture = this.pictures.get(frame)
    if (!picture) {
      const size = this.rows * this.columns * this.channels
      picture = {
        ...planeSize(this.facts, "frame"),
        key: `${this.key}:${frame}`,
        channels: this.channels,
        kind: this.kind,
        values: this.values.subarray(frame * size, (frame + 1) * size),
      }
      this.pictures.set(frame, picture)
    }
    return picture
  }

  /** A frame, asked for now; somebody waits for it, so it is not given up. */
  frame(frame) {
    if (this.isLoaded(frame)) return Promise.resolve(this.at(frame))
    const asked = this.asked.get(frame) ?? this.ask(frame)
    asked.needed = true
    return asked.promise
  }

  /** A frame that is needed soon; false where it could not be loaded. */
  want(frame) {
    if (this.failed.has(frame)) return false
    if (!this.isLoaded(frame) && !this.asked.has(frame)) this.ask(frame).promise.catch(() => {})
    return true
  }

  /** The reader looks at this frame: load around it, and give up what is now far away. */
  focus(frame) {
    this.centre = frame
    this.failed.clear()
    const near = new Set(this.nearest(2 * AT_ONCE, true))
    for (const [other, asked] of this.asked) if (!asked.needed && !near.has(other)) asked.aborter.abort()
    this.fill()
  }

  /** Nobody looks any more: what is there stays, the rest is not asked for. */
  rest() {
    this.centre = null
    for (const { aborter } of this.asked.values()) aborter.abort()
  }

  /** The frames around the centre that are not there yet, the nearest first. */
  nearest(count, withAsked = false) {
    const found = []
    for (let far = 0; far < this.frames && found.length < count; far++) {
      for (const frame of far ? [this.centre + far, this.centre - far] : [this.centre]) {
        if (frame < 0 || frame >= this.frames || this.here[frame] || this.failed.has(frame) || found.length >= count) continue
        if (withAsked || !this.asked.has(frame)) found.push(frame)
      }
    }
    return found
  }

  fill() {
    if (this.centre === null) return
    for (const frame of this.nearest(AT_ONCE - this.asked.size)) this.ask(frame).promise.catch(() => {})
  }

  ask(frame) {
    const aborter = new AbortController()
    const asked = { aborter, needed: false }
    asked.promise = this.load(frame, aborter.signal).then(
      (array) => {
        if (this.asked.get(frame) === asked) this.asked.delete(frame)
        this.put(frame, array)
        this.fill()
        return this.at(frame)
      },
    ).catch((error) => {
      if (this.asked.get(frame) === asked) this.asked.delete(frame)
      if (!aborter.signal.aborted) {
        this.failed.set(frame, error)
        for (const listener of this.listeners) listener(frame, error)
      }
      this.fill()
      throw error
    })
    this.asked.set(frame, asked)
    aborter.signal.addEventListener("abort", () => this.asked.get(frame) === asked && this.asked.delete(frame))
    return asked
  }

  put(frame, { kind, values, shape }) {
    const size = this.rows * this.columns * this.channels
    const [rows, columns, channels = 1] = shape
    if (rows !== this.rows || columns !== this.columns || channels !== this.channels || (this.kind ?? kind) !== kind) {
      throw new LoadError(`The stored image is not the one this case describes. Received: ${shape.join(" × ")}, ${kind}`)
    }
    this.kind = kind
    if (this.frames === 1) this.values = values
    else {
      this.values ??= new values.constructor(size * this.frames)
      this.values.set(values, frame * size)
    }
    if (this.here[frame]) return
    this.here[frame] = 1
    this.loaded += 1
    for (const listener of this.listeners) listener(frame)
  }
}

/** One frame from the server. */
export async function loadFrame(facts, frame, signal) {
  const path = (facts.frames ?? 1) > 1 ? `${facts.pixels}?frame=${frame}` : facts.pixels
  const buffer = await (await fetchChecked(path, { signal })).arrayBuffer()
  try {
    return parseNpy(buffer)
  } catch (error) {
    throw new LoadError(`The stored image cannot be read: ${error.message}`)
  }
}
