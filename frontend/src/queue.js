// Sends waiting events (answers, marks, strokes of a brush) until the server has acknowledged each.
// An event leaves the browser's store only then.

import { at } from "./base.js"

const BATCH = { events: 50, bytes: 4 << 20 } // a stroke over many frames may weigh megabytes
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15000
const PATIENCE_MS = 20000
const PATIENCE_MS_PER_MB = 10000
const OTHER_READER = "You are signed in as" // how the server refuses an event of somebody else
const OFFLINE = { kind: "offline" }
const IN_TROUBLE = "the server is in trouble"

/** Whose events these are: on a shared computer one reader's are never sent as another's, nor to another server. */
export function ownerOf(server, reader) {
  return `${server}|${reader}`
}

export class Queue {
  /**
   * @param {object} store see store.js
   * @param {string} owner see `ownerOf`
   * @param {{fetch?: typeof fetch, alone?: (work: () => Promise<void>) => Promise<void>, onState?: (state: object) => void,
   *   onStored?: (event: object, receipt: object) => void, onRefused?: (event: object, reason: string) => void}} options
   *   `alone` runs its work in one tab at a time;
   *   a state is {kind: "idle" | "saving" | "saved" | "offline" | "refused for now" | "signed out" | "other reader" |
   *   "unreadable", waiting: number, at?: string, reason?: string}
   */
  constructor(store, owner, { fetch: send = (path, request) => fetch(at(path), request), alone, onState, onStored, onRefused } = {}) {
    Object.assign(this, { store, owner, send })
    this.reader = owner.slice(owner.indexOf("|") + 1)
    this.alone = alone ?? ((work) => work())
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
    this.batch = BATCH
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
    this.running = this.alone(() => this.sendAll()).finally(() => {
      this.running = null
      if (this.again) {
        this.again = false
        this.flush()
      }
    })
    return this.running
  }

  async sendAll() {
    try {
      for (;;) {
        const rows = await this.store.head(this.owner, this.batch)
        if (!rows.length) {
          this.waiting = 0
          this.tell(this.savedAt ? "saved" : "idle")
          return
        }
        this.waiting = Math.max(this.waiting, rows.length) // another tab's events wait here too
        this.tell("saving")
        const trouble = await this.sendSome(rows)
        if (trouble) return await this.rest(trouble)
        this.failures = 0
      }
    } catch (error) {
      console.error(error) // the browser's own database failed; what it holds is sent by the next page that can read it
      this.failures += 1
      this.tell("unreadable")
      this.retryLater()
    }
  }

  /** Nothing gets through now: say so, and try again later. */
  async rest({ kind, reason }) {
    this.failures += 1
    this.again = false // what came meanwhile waits with the rest
    this.waiting = await this.store.count(this.owner)
    this.tell(kind, reason)
    this.retryLater()
  }

  /** Undefined when the server has dealt with some rows, otherwise what is in the way. */
  async sendSome(rows) {
    const body = JSON.stringify({ events: rows.map((row) => ({ ...row.event, reader: this.reader })) })
    let answer
    try {
      const response = await this.send("/api/v1/events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
        credentials: "same-origin",
        signal: AbortSignal.timeout(PATIENCE_MS + PATIENCE_MS_PER_MB * (body.length >> 20)),
      })
      if (response.status === 401) return { kind: "signed out" }
      if (response.status === 413) return await this.lighten(rows)
      // It is there and does not take them: the disk may be full, or the database held by another program.
      if (response.status !== 200 && response.status !== 422) return { kind: "refused for now", reason: await reasonOf(response) }
      answer = await response.json()
    } catch {
      return OFFLINE
    }
    return this.settle(rows, answer)
  }

  /** The server takes less at once: smaller batches; what is too much by itself is put aside. */
  async lighten(rows) {
    if (rows.length > 1) {
      this.batch = { ...this.batch, events: Math.ceil(rows.length / 2) }
      return undefined
    }
    await this.refuse(rows[0], "This is more than the server takes at once.")
    this.batch = BATCH
    return undefined
  }

  /** Let go of what was acknowledged or refused. */
  async settle(rows, answer) {
    const receipts = new Map((answer.acknowledged ?? []).map((receipt) => [receipt.event, receipt]))
    const reasons = new Map((answer.refused ?? []).map((refusal) => [refusal.event, refusal.reason]))
    const stored = rows.filter((row) => receipts.has(row.event.event))
    const refused = rows.filter((row) => reasons.has(row.event.event))
    await this.store.remove(stored.map((row) => row.place))
    this.waiting = Math.max(0, this.waiting - stored.length)
    for (const row of stored) {
      const receipt = receipts.get(row.event.event)
      this.savedAt = receipt.stored_at
      this.onStored(row.event, receipt)
    }
    for (const row of refused) {
      const reason = reasons.get(row.event.event)
      // Somebody else has signed in on this computer: the events wait for their own reader.
      if (reason.startsWith(OTHER_READER)) return { kind: "other reader" }
      await this.refuse(row, reason)
    }
    return stored.length + refused.length > 0 ? undefined : { kind: "refused for now", reason: IN_TROUBLE }
  }

  async refuse(row, reason) {
    await this.store.putAside(row, reason)
    this.waiting = Math.max(0, this.waiting - 1)
    this.onRefused(row.event, reason)
  }

  retryLater() {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.failures - 1))
    this.timer = setTimeout(() => this.flush(), wait * (0.75 + Math.random() / 2))
  }

  /** What another tab of this reader has sent for both. */
  hear(receipt) {
    this.savedAt = receipt.stored_at
    this.flush()
  }

  tell(kind, reason) {
    this.onState({ kind, waiting: this.waiting, at: this.savedAt, reason })
  }

  close() {
    this.closed = true
    clearTimeout(this.timer)
  }
}

/** The first sentence of what the server said, for the middle of ours; a fault in it, or a proxy before it, says nothing. */
async function reasonOf(response) {
  const { reason } = await response.json().catch(() => ({}))
  const said = typeof reason === "string" ? reason.split(/\.(?:\s|$)/)[0] : ""
  return said || IN_TROUBLE
}

/** The words for the header. */
export function stateText({ kind, waiting, at, reason }, isDurable = true) {
  const changes = `${waiting} ${waiting === 1 ? "change" : "changes"} kept in this ${isDurable ? "browser" : "tab"}`
  if (kind === "offline") return `Not saved: no connection, ${changes}`
  if (kind === "refused for now") return `Not saved: ${reason}, ${changes}`
  if (kind === "signed out") return `Not saved: signed out, ${changes}`
  if (kind === "other reader") return `Not saved: somebody else is signed in, ${changes}`
  if (kind === "unreadable") return "Not saved: this browser cannot read its own store; reload the page"
  if (kind === "saving") return "Saving"
  if (kind === "saved") return `Saved ${new Date(at).toLocaleTimeString("en-GB")}`
  return ""
}
