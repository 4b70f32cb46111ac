// What the server knows of the case on the screen, asked anew while it is open: somebody else may have answered it,
// changed its classes or deleted it.

import { fetchChecked } from "./fetching.js"

const EVERY_MS = 15000
const FRESH_MS = 3000

export class Watch {
  /** @param {{onFacts: (facts: object) => void, onGone: (error: Error) => void}} on */
  constructor(on) {
    this.on = on
    this.since = new Date().toISOString()
    this.told = new Map() // case and reader -> the answer that was told
    this.facts = null
  }

  /**
   * A case is on the screen. Resolves when its facts are those of now, true, or cannot be asked for, false.
   * @param {boolean} needed whether it matters that they are
   */
  async enter(facts, askedAt, needed = false) {
    this.leave()
    this.facts = facts
    this.timer = setInterval(() => document.visibilityState === "visible" && this.ask(), EVERY_MS)
    if (Date.now() - (askedAt ?? 0) < FRESH_MS) return true
    const asked = this.ask()
    return needed ? asked : true
  }

  leave() {
    clearInterval(this.timer)
    this.aborter?.abort()
    this.facts = null
  }

  async ask() {
    const { facts } = this
    if (!facts) return false
    this.aborter?.abort()
    const aborter = (this.aborter = new AbortController())
    try {
      const fresh = await (await fetchChecked(`/api/v1/cases/${facts.id}`, { signal: aborter.signal })).json()
      if (aborter.signal.aborted) return false
      if (fresh.reader !== facts.reader) return false // somebody else has signed in here: their answer is not this reader's
      Object.assign(facts, fresh)
      this.on.onFacts(facts)
      return true
    } catch (error) {
      if (!aborter.signal.aborted && (error.status === 404 || error.status === 403)) this.on.onGone(error)
      return false
    }
  }

  /** Who else has answered the case since the page was opened, as a sentence; "" where nobody has, or it may not be told. */
  newsOf(facts) {
    const news = (facts.others ?? []).filter(({ reader, answered_at: at }) => {
      const name = `${facts.id} ${reader}`
      const isNew = Boolean(at) && at > this.since && at > (this.told.get(name) ?? "")
      if (isNew) this.told.set(name, at)
      return isNew
    })
    if (!news.length) return ""
    return `${news.map(({ reader }) => reader).join(" and ")} ${news.length > 1 ? "have" : "has"} answered this case meanwhile.`
  }
}
