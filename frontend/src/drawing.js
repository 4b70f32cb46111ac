// What is drawn on the case: masks and marks share the panes, one tool in the hand, and one history.

import { withValue } from "./answers.js"
import { element } from "./dom.js"
import { Masks } from "./masks/masks.js"
import { framesOf } from "./recorder.js"

export class Drawing {
  /**
   * @param {object} project
   * @param {{layout: object, said: object, recorder: object, say: (text: string, stays?: boolean) => void, onChanged: () => void}} parts
   *   `onChanged`: what is drawn has changed, so numbers that are derived from it may have
   */
  constructor(project, parts) {
    Object.assign(this, parts)
    this.project = project
    this.facts = null
    const faults = { onFault: (text) => this.say(text, true), onSay: (text) => this.say(text) }
    if (project.task === "segmentation") {
      this.masks = new Masks(project, { ...faults, onStroke: (act) => this.keepStroke(act), onTool: (kind) => this.take("masks", kind) })
      this.masks.attach(this.layout)
    }
  }

  /** A case is on the screen; `facts` should be those of now: what they do not name counts as never painted. */
  open(facts) {
    this.facts = facts
    this.masks?.load(this.said.withPainted(facts), { pending: this.said.strokesOf(facts.id) })
  }

  close() {
    this.facts = null
    this.masks?.leave()
  }

  /** One hand: who takes a tool makes the other lay theirs down. */
  take(who, kind) {
    if (kind && who === "masks") this.marks?.drop()
    if (kind && who === "marks") this.masks?.drop()
  }

  // ---- what is done here, and what comes from elsewhere

  keepStroke({ case: caseId, structure, before, after }) {
    this.recorder.do({ kind: "mask", caseId, structure, before, after })
    this.onChanged()
  }

  /** An act of this case was taken back or done again. */
  retrace(act, side) {
    if (act.kind === "mask") this.masks?.apply(act.structure, act[side])
    this.onChanged()
  }

  /** Another tab of this reader has drawn on this case. */
  hear(event) {
    if (event.type === "mask") this.masks?.apply(event.structure, framesOf(event))
    this.onChanged()
  }

  /** A refused stroke is not there any more: show what the server has. */
  reload() {
    if (this.facts) this.open(this.facts)
  }

  /** False where the command is not about drawing. */
  command(name) {
    if (name === "copyToNext" && this.masks) return this.masks.command("copySlice")
    if (name === "escape") return this.escape()
    return Boolean(this.masks?.command(name))
  }

  escape() {
    if (this.masks?.kind) this.masks.choose(this.masks.kind)
    return true
  }

  detach() {
    this.masks?.detach()
  }
}

/** The structures as the answer's part: Enter says that the case is finished, and what was found on it. */
export class StructurePart {
  constructor(masks, { answer, say }) {
    this.masks = masks
    this.answer = answer
    this.say = say
    this.said = element("p", { class: "quiet", role: "status" })
    this.element = element("div", { class: "part" }, masks.panel.element, this.said)
  }

  press(digit) {
    this.masks.pressDigit(digit)
  }

  /** Names of the structures with a painted pixel; null while that is not known. */
  found() {
    const { structures } = this.masks
    if (structures.some(({ state }) => state !== "ready")) return null
    return structures.filter(({ grid, retired }) => grid.count && !retired).map(({ name }) => name)
  }

  confirm() {
    const structures = this.found()
    if (!structures) {
      this.say("Wait until the masks of this case are loaded.")
      return false
    }
    this.answer((current) => withValue(current, { structures }))
    return true
  }

  show({ value }) {
    const names = value?.structures
    this.said.textContent = !names ? "Enter confirms the case" : names.length ? `Confirmed: ${names.join(", ")}` : "Confirmed: nothing found"
  }
}
