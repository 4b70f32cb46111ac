// What a model suggests, beside the answer: taken over, changed or rejected, never taken for the reader's own answer.

import { button, element } from "./dom.js"
import { askDraft, draftText, mayAsk, outcomeOf } from "./drafts.js"
import { keyMap, nameOfChord } from "./keys.js"

export class DraftBox {
  /** `on` holds accept(draft) and reject(draft); `isOffered`: whether drafts may come on this page. */
  constructor(project, on, isOffered = Boolean(project.assisted)) {
    this.project = project
    this.on = on
    this.text = element("p", {})
    this.said = element("p", { class: "quiet", role: "status" })
    this.accept = button({ title: "Take this over as my answer (Shift Enter)", onclick: () => this.take() }, "Accept")
    this.reject = button({ title: "It is wrong (Shift Del)", onclick: () => this.refuse() }, "Reject")
    this.element = element(
      "section",
      // Its place is kept: what comes late must not push the answers away from under the pointer.
      { class: "draft", "aria-label": "Draft of a model", hidden: !isOffered },
      this.text, element("div", { class: "pair" }, this.accept, this.reject), this.said,
    )
    this.leave()
  }

  /** A case is on the screen, or its answer is stored: ask, where a draft may be shown. */
  async enter(caseId, answered) {
    if (this.caseId !== caseId) this.leave()
    this.caseId = caseId
    if (this.draft || this.aborter || !mayAsk(this.project, answered)) return
    const aborter = (this.aborter = new AbortController())
    const draft = await askDraft(caseId, aborter.signal)
    if (aborter.signal.aborted) return
    this.aborter = null
    this.draft = draft
    if (!draft) return
    this.text.replaceChildren(element("span", { class: "quiet" }, `Draft of ${draft.model}`), draftText(draft, this.project))
    this.said.textContent = `Keys: ${["acceptDraft", "rejectDraft"].map((name) => nameOfChord(keyMap.chordOf(name))).join(", ")}`
    this.show(true)
  }

  leave() {
    this.aborter?.abort()
    this.aborter = this.draft = this.caseId = null
    this.rejected = false
    this.said.textContent = ""
    this.show(false)
  }

  show(there) {
    this.element.classList.toggle("absent", !there)
  }

  take() {
    if (!this.draft) return
    this.rejected = false
    this.on.accept(this.draft)
  }

  refuse() {
    if (!this.draft || this.rejected) return
    this.rejected = true
    this.said.textContent = "Rejected; give your own answer."
    this.on.reject(this.draft)
  }

  /** What is stored with an answer of this value, as `extra` of an event. */
  told(value) {
    const draft = outcomeOf(this.draft, value, this.rejected && JSON.stringify(value) !== JSON.stringify(this.draft?.value))
    if (draft) this.said.textContent = `Stored as ${draft.outcome}.`
    return draft ? { draft } : {}
  }
}
