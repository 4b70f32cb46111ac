// Cases and their pixels over HTTP, the next ones before they are asked for, the oldest given up for memory.

import { LoadError, fetchChecked } from "./fetching.js"
import { Volume } from "./frames.js"

export { LoadError, fetchChecked } from "./fetching.js"

const MOST_BYTES = 128 << 20 // of pixels; a tab needs several times as much, and the budget of a ward PC is 700 MB
const AT_ONCE = 2
const NEIGHBOURS = [1, 2, -1, 3]

export class Cases {
  constructor(load = loadCase, mostBytes = MOST_BYTES) {
    this.load = load
    this.mostBytes = mostBytes
    this.held = new Map() // case id -> {promise, volume}; the one used last is at the end
    this.shown = new Set() // ids that must stay
    this.wanted = []
    this.busy = 0
  }

  /** Facts and pixels of a case, its first frame loaded. A failed one is forgotten: asking again tries again. */
  get(id) {
    const known = this.held.get(id)
    if (known) {
      this.held.delete(id)
      this.held.set(id, known)
      return known.promise
    }
    const entry = { volume: null }
    entry.promise = this.load(id).then(
      (loaded) => {
        if (this.held.get(id) === entry) {
          entry.volume = loaded.volume
          // A volume grows while it is looked at.
          loaded.volume.onLoaded?.(() => this.evict(id))
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
    return Boolean(this.held.get(id)?.volume)
  }

  /** Forget a case, so that it is asked for anew. */
  drop(id) {
    this.held.get(id)?.volume?.rest?.()
    this.held.delete(id)
  }

  get bytes() {
    let sum = 0
    for (const { volume } of this.held.values()) sum += volume?.bytes ?? 0
    return sum
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
    let { bytes } = this
    for (const [id, { volume }] of this.held) {
      if (bytes <= this.mostBytes) return
      if (id === keep || this.shown.has(id) || !volume) continue
      bytes -= volume.bytes
      this.drop(id)
    }
  }
}

/**
 * A case as its reader knows it. What was got while somebody else was signed in in this browser is asked for anew: it
 * holds the other's answer and marks.
 */
export async function getOwn(cases, id, reader) {
  const held = await cases.get(id)
  if (held.facts.reader === reader) return held
  cases.drop(id)
  const loaded = await cases.get(id)
  if (loaded.facts.reader === reader) return loaded
  throw new LoadError(`You are signed in as ${loaded.facts.reader} in this browser. Sign in as ${reader} to go on here, or load the page anew.`)
}

async function loadCase(id) {
  const askedAt = Date.now()
  const facts = await (await fetchChecked(`/api/v1/cases/${id}`)).json()
  const volume = new Volume(facts)
  await volume.frame(firstFrame(facts))
  return { facts, volume, askedAt }
}

/** Where a case opens: a volume in its middle, where most is to be seen; a film at its beginning. */
export function firstFrame({ frames = 1, slice_spacing_mm: between }) {
  return between ? frames >> 1 : 0
}
