// Cases and their pixels over HTTP, the next ones before they are asked for, the oldest given up for memory.

import { parseNpy } from "./npy.js"

const MOST_BYTES = 512 << 20
const AT_ONCE = 2
const NEIGHBOURS = [1, 2, -1, 3]

/** What cannot be shown, in words for the reader. */
export class LoadError extends Error {}

/** Fetches and refuses in words. */
export async function fetchChecked(path, options = {}) {
  let response
  try {
    response = await fetch(path, { credentials: "same-origin", ...options })
  } catch (error) {
    if (options.signal?.aborted) throw error // the reader has gone on; nothing is wrong
    throw new LoadError("There is no connection to the server.")
  }
  if (response.ok) return response
  const reason = await response.json().then((told) => told.reason, () => null)
  throw new LoadError(response.status === 401 ? "You are signed out." : reason ?? `The server answered ${response.status}.`)
}

/** An image as the renderer takes it, from the array of a case. */
export function toImage(array, facts) {
  const [rows, columns, channels = 1] = array.shape
  if (array.shape.length < 2 || array.shape.length > 3 || (channels !== 1 && channels !== 3) || !rows || !columns) {
    throw new LoadError("This viewer shows images of one frame.")
  }
  const spacing = facts.spacing_mm
  return { rows, columns, channels, kind: array.kind, values: array.values, tall: spacing ? spacing[0] / spacing[1] : 1 }
}

export class Cases {
  constructor(load = loadCase, mostBytes = MOST_BYTES) {
    this.load = load
    this.mostBytes = mostBytes
    this.bytes = 0
    this.held = new Map() // case id -> {promise, bytes}; the one used last is at the end
    this.wanted = []
    this.busy = 0
  }

  /** Facts and image of a case. A failed one is forgotten, so that asking again tries again. */
  get(id) {
    const known = this.held.get(id)
    if (known) {
      this.held.delete(id)
      this.held.set(id, known)
      return known.promise
    }
    const entry = { bytes: 0 }
    entry.promise = this.load(id).then(
      (loaded) => {
        if (this.held.get(id) === entry) {
          entry.bytes = loaded.image.values.byteLength
          this.bytes += entry.bytes
          this.evict(id)
        }
        return loaded
      },
      (error) => {
        if (this.held.get(id) === entry) this.held.delete(id)
        throw error
      },
    )
    this.held.set(id, entry)
    return entry.promise
  }

  /** Whether a case can be shown without waiting. */
  isReady(id) {
    return Boolean(this.held.get(id)?.bytes)
  }

  /** Load what is around a place of the list; what was wanted before and has not begun is dropped. */
  prefetch(ids, index) {
    this.wanted = NEIGHBOURS.map((step) => ids[index + step]).filter((id) => id !== undefined && !this.held.has(id))
    this.pump()
  }

  pump() {
    while (this.busy < AT_ONCE && this.wanted.length) {
      this.busy += 1
      // A neighbour that cannot be loaded says so when the reader gets there.
      this.get(this.wanted.shift()).catch(() => {}).finally(() => {
        this.busy -= 1
        this.pump()
      })
    }
  }

  evict(keep) {
    for (const [id, entry] of this.held) {
      if (this.bytes <= this.mostBytes) return
      if (id === keep || !entry.bytes) continue
      this.bytes -= entry.bytes
      this.held.delete(id)
    }
  }
}

async function loadCase(id) {
  const facts = await (await fetchChecked(`/api/v1/cases/${id}`)).json()
  const buffer = await (await fetchChecked(facts.pixels)).arrayBuffer()
  let array
  try {
    array = parseNpy(buffer)
  } catch (error) {
    throw new LoadError(`The stored image cannot be read: ${error.message}`)
  }
  return { facts, image: toImage(array, facts) }
}
