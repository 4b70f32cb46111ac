// How long a reader really looked at a case: not while the tab was hidden, nor after half a minute without a sign.

const IDLE_MS = 30000
const SIGNS = ["pointermove", "pointerdown", "wheel", "keydown", "touchmove"]

export class ActiveTime {
  /** @param {() => number} now milliseconds of a clock that never runs back */
  constructor(now = () => performance.now()) {
    this.now = now
    this.spent = new Map() // case id -> milliseconds
    this.caseId = null
    this.last = 0 // the last sign of the reader
    this.counted = 0 // up to where time has been counted
    this.visible = true
  }

  /** A case is on the screen; `seconds` is what the server knows of earlier visits. */
  enter(caseId, seconds = 0) {
    this.leave()
    this.caseId = caseId
    if (!this.spent.has(caseId)) this.spent.set(caseId, 1000 * (seconds || 0))
    this.last = this.counted = this.now()
  }

  leave() {
    this.count()
    this.caseId = null
  }

  /** The reader moved, pressed or scrolled. */
  sign() {
    this.count()
    this.last = this.counted = this.now()
  }

  setVisible(visible) {
    this.count()
    this.visible = visible
    this.last = this.counted = this.now()
  }

  /** Add what has passed since it was last counted, but nothing beyond the half minute after the last sign. */
  count() {
    const until = Math.min(this.now(), this.last + IDLE_MS)
    if (this.caseId !== null && this.visible && until > this.counted) {
      this.spent.set(this.caseId, (this.spent.get(this.caseId) ?? 0) + until - this.counted)
    }
    this.counted = Math.max(this.counted, until)
  }

  /** Seconds on a case so far, to a tenth. */
  seconds(caseId) {
    this.count()
    return Math.round((this.spent.get(caseId) ?? 0) / 100) / 10
  }

  /** Listen to the reader; returns how to stop that. */
  follow(target = window, page = document) {
    const sign = () => this.sign()
    const look = () => this.setVisible(page.visibilityState === "visible")
    for (const name of SIGNS) target.addEventListener(name, sign, { capture: true, passive: true })
    page.addEventListener("visibilitychange", look)
    look()
    return () => {
      for (const name of SIGNS) target.removeEventListener(name, sign, { capture: true })
      page.removeEventListener("visibilitychange", look)
    }
  }
}

/** How fast the reading goes: counted over the cases that were answered since the page was opened. */
export class Pace {
  constructor() {
    this.answered = new Map() // case id -> active seconds
  }

  add(caseId, seconds) {
    this.answered.set(caseId, seconds)
  }

  /** "120 cases/h, 14 min left", or "" until five cases tell something. */
  text(remaining) {
    if (this.answered.size < 5) return ""
    const seconds = [...this.answered.values()].reduce((sum, one) => sum + one, 0) / this.answered.size
    if (!(seconds > 0)) return ""
    const rate = `${Math.round(3600 / seconds).toLocaleString("en-GB")} cases/h`
    return remaining > 0 ? `${rate}, ${duration(seconds * remaining)} left` : rate
  }
}

/** `40 s`, `14 min`, `2 h 10 min`. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const rest = minutes % 60
  return `${Math.floor(minutes / 60).toLocaleString("en-GB")} h${rest ? ` ${rest} min` : ""}`
}
