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

  /** Seconds on a case so far, to a hundredth. */
  seconds(caseId) {
    this.count()
    return Math.round((this.spent.get(caseId) ?? 0) / 10) / 100
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

const FEWEST_CASES = 5 // below that a pace says nothing

/**
 * "600 cases/h, 10 min left", or "" until enough cases tell something.
 * @param {{seconds_per_case: number | null, cases: number} | null} pace as the server counts it, idle time left out
 */
export function paceText(pace, remaining) {
  if (!pace || pace.cases < FEWEST_CASES || !(pace.seconds_per_case > 0)) return ""
  const rate = `${Math.round(3600 / pace.seconds_per_case).toLocaleString("en-GB")} cases/h`
  return remaining > 0 ? `${rate}, ${duration(pace.seconds_per_case * remaining)} left` : rate
}

/** `40 s`, `14 min`, `2 h 10 min`. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const rest = minutes % 60
  return `${Math.floor(minutes / 60).toLocaleString("en-GB")} h${rest ? ` ${rest} min` : ""}`
}
