// What Streamlit should learn. Two triggers of one name in one tick lose the first, and a rerun may be
// interrupted: so events are numbered, sent as a list, and repeated until Python has seen them.

import { newId } from "./identity.js"

const REPEAT_MS = 3000
const TOGETHER_MS = 60 // a step and the receipt of the answer before it make one rerun

export class Outbox {
  constructor() {
    this.id = newId()
    this.number = 0
    this.waiting = []
    this.send = () => {}
    this.timer = 0
  }

  push(event) {
    this.waiting.push({ ...event, number: ++this.number })
    this.schedule(TOGETHER_MS)
  }

  /** What Python says it has seen, with every rerun. */
  acknowledge(outbox, seen) {
    if (outbox === this.id) this.waiting = this.waiting.filter((event) => event.number > seen)
    if (!this.waiting.length) clearTimeout(this.timer)
  }

  /** Whether Python knows everything; until then what it says about the place is old. */
  isQuiet() {
    return this.waiting.length === 0
  }

  schedule(delay) {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      if (!this.waiting.length) return
      this.send({ outbox: this.id, events: this.waiting })
      this.schedule(REPEAT_MS)
    }, delay)
  }

  close() {
    clearTimeout(this.timer)
  }
}
