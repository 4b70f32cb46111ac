// What becomes of what was said: stored or refused by the server, said anew in another tab, overtaken by others.

import { ownerOf, stateText } from "./queue.js"
import { queueOf } from "./sending.js"

export class News {
  /** @param {object} viewer whose parts learn of it */
  constructor(viewer) {
    this.viewer = viewer
    this.queue = null
  }

  /** What waits from an earlier page counts as said; then send it. */
  async start() {
    if (this.viewer.mode === "check") return // nothing is answered there: what is drawn goes to the page alone
    const { said, history, aside, bar, data } = this.viewer
    const queue = (this.queue = await queueOf(data.server, data.reader))
    queue.onState = (state) => bar.showState(state, stateText(state, queue.store.isDurable))
    queue.onStored = (event, receipt) => {
      queue.tabs.tell({ stored: { ...event, frames: undefined }, receipt })
      this.takeStored(event, receipt)
    }
    queue.onRefused = (event, reason) => {
      queue.tabs.tell({ refused: event, reason })
      this.takeRefused(event, reason)
    }
    for (const event of await queue.pending()) said.keep(event)
    this.stopListening = queue.tabs.listen((news) => this.hear(news))
    await history.keepIn(queue.store, `${ownerOf(data.server, data.reader)}|${data.project.id}`)
    await aside.read(queue.store, queue.owner)
    queue.flush()
  }

  stop() {
    this.stopListening?.()
  }

  // ---- on its way

  send(event) {
    this.viewer.starting.then(() => {
      this.queue.add(event)
      this.queue.tabs.tell({ said: event })
    })
  }

  /** What was put aside, under the classes as they are now. */
  async sendAgain(event) {
    const again = { ...event, schema_version: this.viewer.data.project.schema_version }
    this.viewer.said.keep(again)
    this.show(again)
    await this.queue.add(again)
  }

  // ---- arrived

  takeStored(event, receipt) {
    const { said, outbox, answering } = this.viewer
    said.acknowledged(event)
    if (event.type !== "label") return
    const { value, unsure, unusable } = event
    outbox.push({ type: "labelled", case: event.case, label: receipt.label, value, unsure, unusable })
    if (this.isOpen(event)) answering.askDraft()
  }

  takeRefused(event, reason) {
    const { said, bar, aside, answering, drawing } = this.viewer
    said.refused(event)
    bar.say(`Not accepted and put aside: ${reason}`, true)
    aside.refresh()
    if (!this.isOpen(event)) return
    answering.refresh()
    drawing.reload()
  }

  /** From another tab of this reader. */
  hear({ said, stored, receipt, refused, reason }) {
    if (said && this.viewer.said.keep(said)) this.show(said, "Changed in another tab of yours.")
    if (stored) this.takeStored(stored, receipt)
    if (refused) this.takeRefused(refused, reason)
  }

  isOpen(event) {
    return event.case === this.viewer.loaded?.facts.id
  }

  /** The case on the screen is not any more what was shown of it. */
  show(event, text = "") {
    if (!this.isOpen(event)) return
    this.viewer.drawing.hear(event)
    this.viewer.answering.refresh()
    if (text) this.viewer.bar.say(text)
  }

  /** What the server says of the case on the screen now. */
  learnFacts(facts) {
    const { answering, drawing, watch, bar, outbox, data } = this.viewer
    answering.refresh()
    drawing.learn(facts)
    const news = watch.newsOf(facts)
    if (news) bar.say(news, true)
    // The classes have changed under the page: Python is asked for a rerun, which brings the new ones.
    if (facts.schema_version > data.project.schema_version) outbox.push({ type: "outdated", case: facts.id })
  }
}
