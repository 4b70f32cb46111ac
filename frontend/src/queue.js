// Sends waiting answers until the server has acknowledged each. An answer leaves the browser's store only then.

const BATCH = 50
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15000
const PATIENCE_MS = 20000

/** Whose answers these are: on a shared computer one reader's are never sent as another's, nor to another server. */
export function ownerOf(server, reader) {
  return `${server}|${reader}`
}

export class Queue {
  /**
   * @param {object} store see store.js
   * @param {string} owner see `ownerOf`
   * @param {{fetch?: typeof fetch, onState?: (state: object) => void, onStored?: (event: object, receipt: object) => void,
   *   onRefused?: (event: object, reason: string) => void}} listeners
   *   a state is {kind: "idle" | "saving" | "saved" | "offline" | "signed out", waiting: number, at?: string}
   */
  constructor(store, owner, { fetch: send = (...request) => fetch(...request), onState, onStored, onRefused } = {}) {
    Object.assign(this, { store, owner, send })
    this.onState = onState ?? (() => {})
    this.onStored = onStored ?? (() => {})
    this.onRefused = onRefused ?? (() => {})
    this.waiting = 0
    this.failures = 0
    this.savedAt = null
    this.running = null
    this.again = false
    this.timer = 0
    this.closed = false
  }

  /** Keep the event in the browser, then send it. Resolves when it is kept. */
  async add(event) {
    this.waiting += 1
    this.tell("saving")
    await this.store.add(this.owner, event)
    this.flush()
  }

  /** What waits, oldest first: at the start, what an earlier page left. */
  async pending() {
    const rows = await this.store.list(this.owner)
    this.waiting = rows.length
    return rows.map((row) => row.event)
  }

  /** Send all that waits; calls while it runs are taken as one more round. */
  flush() {
    clearTimeout(this.timer)
    if (this.closed) return Promise.resolve()
    if (this.running) {
      this.again = true
      return this.running
    }
    this.running = this.sendAll().finally(() => {
      this.running = null
      if (this.again) {
        this.again = false
        this.flush()
      }
    })
    return this.running
  }

  async sendAll() {
    for (;;) {
      const rows = (await this.store.list(this.owner)).slice(0, BATCH)
      if (!rows.length) {
        this.waiting = 0
        this.tell(this.savedAt ? "saved" : "idle")
        return
      }
      this.tell("saving")
      const trouble = await this.sendSome(rows)
      if (trouble) {
        this.failures += 1
        this.again = false // what came meanwhile waits with the rest
        this.waiting = (await this.store.list(this.owner)).length
        this.tell(trouble)
        this.retryLater()
        return
      }
      this.failures = 0
    }
  }

  /** Undefined when the server has dealt with every row, otherwise what is in the way. */
  async sendSome(rows) {
    let answer
    try {
      const response = await this.send("/api/v1/events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ events: rows.map((row) => row.event) }),
        credentials: "same-origin",
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      if (response.status === 401) return "signed out"
      if (response.status !== 200 && response.status !== 422) return "offline"
      answer = await response.json()
    } catch {
      return "offline"
    }
    return (await this.settle(rows, answer)) ? undefined : "offline"
  }

  /** Let go of what was acknowledged or refused; false where the server said nothing about any row. */
  async settle(rows, answer) {
    const receipts = new Map((answer.acknowledged ?? []).map((receipt) => [receipt.event, receipt]))
    const reasons = new Map((answer.refused ?? []).map((refusal) => [refusal.event, refusal.reason]))
    const stored = rows.filter((row) => receipts.has(row.event.event))
    const refused = rows.filter((row) => reasons.has(row.event.event))
    await this.store.remove(stored.map((row) => row.place))
    for (const row of stored) {
      const receipt = receipts.get(row.event.event)
      this.savedAt = receipt.stored_at
      this.onStored(row.event, receipt)
    }
    for (const row of refused) {
      await this.store.putAside(row, reasons.get(row.event.event))
      this.onRefused(row.event, reasons.get(row.event.event))
    }
    this.waiting = Math.max(0, this.waiting - stored.length - refused.length)
    return stored.length + refused.length > 0
  }

  retryLater() {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.failures - 1))
    this.timer = setTimeout(() => this.flush(), wait * (0.75 + Math.random() / 2))
  }

  tell(kind) {
    this.onState({ kind, waiting: this.waiting, at: this.savedAt })
  }

  close() {
    this.closed = true
    clearTimeout(this.timer)
  }
}

/** The words for the header. */
export function stateText({ kind, waiting, at }, isDurable = true) {
  const changes = `${waiting} ${waiting === 1 ? "change" : "changes"} kept in this ${isDurable ? "browser" : "tab"}`
  if (kind === "offline") return `Not saved: no connection, ${changes}`
  if (kind === "signed out") return `Not saved: signed out, ${changes}`
  if (kind === "saving") return "Saving"
  if (kind === "saved") return `Saved ${new Date(at).toLocaleTimeString("en-GB")}`
  return ""
}
