// What was done, so that it can be undone and done again, across cases, marks and strokes, also after a reload.

const MOST_ACTS = 500
const MOST_BYTES = 64 << 20 // strokes over many frames weigh the most

/**
 * An act is {kind, caseId, before, after} and what its kind needs: an answer before and after, a mark (null: none), or
 * for a structure the runs of every frame that a stroke changed.
 */
export class History {
  /** @param {object | null} store see store.js; without one, acts are forgotten with the page */
  constructor(store = null, owner = "", { acts = MOST_ACTS, bytes = MOST_BYTES } = {}) {
    Object.assign(this, { store, owner, mostActs: acts, mostBytes: bytes })
    this.done = []
    this.undone = []
    this.writing = Promise.resolve()
  }

  /** Keep what is done from now on in a store, and take up what an earlier page left there. */
  async keepIn(store, owner) {
    Object.assign(this, { store, owner })
    await this.load()
  }

  /** Take up what an earlier page left. What was done here before it was read stays the newest. */
  async load() {
    const rows = await this.store?.listActs(this.owner).catch(() => [])
    const earlier = (rows ?? []).filter((row) => !this.done.some((held) => held.place === row.place))
    this.done = [...earlier.filter((row) => !row.undone), ...this.done]
    if (this.undone.length === 0) this.undone = earlier.filter((row) => row.undone).reverse()
  }

  add(act) {
    this.forget(this.undone)
    this.undone = []
    const row = { owner: this.owner, act, bytes: weigh(act), undone: false }
    this.done.push(row)
    this.write(async () => {
      row.place = await this.store.addAct(this.owner, act, row.bytes)
    })
    this.trim()
  }

  /** The act to take back, or undefined. */
  undo() {
    return this.move(this.done, this.undone, true)
  }

  redo() {
    return this.move(this.undone, this.done, false)
  }

  move(from, to, undone) {
    const row = from.pop()
    if (!row) return undefined
    row.undone = undone
    to.push(row)
    this.write(() => row.place && this.store.putAct(row))
    return row.act
  }

  /** The oldest acts go first. */
  trim() {
    let bytes = this.done.reduce((sum, row) => sum + row.bytes, 0)
    const gone = []
    while (this.done.length > 1 && (this.done.length > this.mostActs || bytes > this.mostBytes)) {
      const row = this.done.shift()
      bytes -= row.bytes
      gone.push(row)
    }
    this.forget(gone)
  }

  forget(rows) {
    if (!rows.length) return
    const gone = [...rows]
    this.write(() => this.store.removeActs(gone.map((row) => row.place).filter(Boolean)))
  }

  /** One write after the other, in the order of the acts. */
  write(act) {
    if (!this.store) return
    this.writing = this.writing.then(act).catch((error) => console.warn("What was done cannot be kept in this browser.", error))
  }
}

/** About how many bytes an act holds. */
function weigh({ before, after }) {
  return [before, after].reduce((sum, side) => {
    if (!(side instanceof Map)) return sum + 200
    for (const runs of side.values()) sum += runs.length + 16
    return sum
  }, 0)
}
