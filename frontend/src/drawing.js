// What is drawn on the case: masks and marks share the panes, one tool in the hand, and one history.

import { withValue } from "./answers.js"
import { element } from "./dom.js"
import { Marks } from "./marks/marks.js"
import { gives, numberFrom } from "./marks/measures.js"
import { Masks } from "./masks/masks.js"
import { framesOf } from "./recorder.js"

export class Drawing {
  /**
   * @param {object} project
   * @param {{mode: string, layout: object, said: object, recorder: object, say: (text: string, stays?: boolean) => void,
   *   onChanged: () => void, onMeasured: (value: number | null, measure: string) => void,
   *   onTool?: (kind: string | null) => void, given?: object[]}} parts
   *   `onChanged`: what is drawn has changed; `onMeasured`: and with it the number that the project derives from a mark.
   *   In review what was drawn is only looked at; in a check of pixels boxes alone are drawn, `given` to begin with,
   *   and they are nobody's marks
   */
  constructor(project, parts) {
    Object.assign(this, parts)
    this.project = project
    this.facts = null
    const faults = { onFault: (text) => this.say(text, true), onSay: (text) => this.say(text) }
    this.marks = new Marks(
      project,
      { ...faults, onChange: (act) => this.keepMark(act), onTool: (kind) => this.take("marks", kind), onChoose: (mark) => this.offerMeasured(mark) },
      this.mode === "check" ? { kinds: ["box"], covers: true } : { editable: this.mode === "label" },
    )
    this.marks.attach(this.layout)
    if (project.task === "segmentation" && this.mode === "label") {
      this.masks = new Masks(project, { ...faults, onStroke: (act) => this.keepStroke(act), onTool: (kind) => this.take("masks", kind) })
      this.masks.attach(this.layout)
    }
  }

  /** A case is on the screen; `facts` should be those of now: what they do not name counts as never painted. */
  open(facts) {
    this.facts = facts
    this.showMarks()
    this.masks?.load(this.said.withPainted(facts), { pending: this.said.strokesOf(facts.id) })
    if (this.mode === "check" && !this.marks.kind) this.marks.choose("box")
  }

  close() {
    this.marks.leave()
    this.facts = null
    this.masks?.leave()
  }

  /** One hand: who takes a tool makes the other lay theirs down. */
  take(who, kind) {
    if (kind && who === "masks") this.marks.drop()
    if (kind && who === "marks") this.masks?.drop()
    if (who === "marks") this.onTool?.(kind)
  }

  // ---- what is done here, and what comes from elsewhere

  keepStroke({ case: caseId, structure, before, after }) {
    this.recorder.do({ kind: "mask", caseId, structure, before, after })
    this.onChanged()
  }

  keepMark({ case: caseId, before, after }) {
    this.recorder.do({ kind: "mark", caseId, before, after })
    if (this.facts) this.shown = JSON.stringify(this.marksOf(this.facts))
    this.onChanged()
    this.tellMeasured((after ?? before).kind)
  }

  /** The marks that count, as far as this browser knows. */
  marksOf(facts) {
    return this.said.marksOf(this.mode === "check" ? { id: facts.id, marks: this.given } : facts)
  }

  showMarks() {
    if (!this.facts) return
    const marks = this.marksOf(this.facts)
    this.shown = JSON.stringify(marks)
    this.marks.load(this.facts, marks)
  }

  /** The reader is about to leave: what is half drawn and can stand as it is stays. */
  settle() {
    this.marks.settle()
  }

  /** The number that the project derives from a mark follows the one that was drawn or changed last. */
  tellMeasured(kind) {
    const { measure, unit } = this.project
    if (!measure || this.mode !== "label" || !this.facts || !gives(kind, measure)) return
    const mark = this.marks.newest((one) => gives(one.kind, measure))
    const value = mark && numberFrom(mark.kind, mark.geometry, this.facts, this.project)
    if (mark && value === null) this.say(`This image does not say how large its pixels are, so nothing can be measured in ${unit}. Type the number.`, true)
    this.onMeasured(value, measure)
  }

  /** A mark of an earlier visit gives its number when it is chosen: by itself it must not bring back one that was taken back. */
  offerMeasured({ kind, theirs }) {
    if (!this.facts || theirs) return
    const { value, unusable } = this.said.answer(this.facts)
    if (value === null && !unusable) this.tellMeasured(kind)
  }

  /** What the server says of the case now. */
  learn(facts) {
    if (this.mode !== "check") this.marks.learnOthers(facts.others)
    this.masks?.learnOthers(facts.others)
    if (JSON.stringify(this.marksOf(facts)) !== this.shown) this.showMarks()
  }

  /** An act of this case was taken back or done again. */
  retrace(act, side) {
    if (act.kind === "mask") this.masks?.apply(act.structure, act[side])
    if (act.kind === "mark") this.showMarks()
    this.onChanged()
    if (act.kind === "mark") this.tellMeasured((act.before ?? act.after).kind)
  }

  /** Another tab of this reader has drawn on this case. */
  hear(event) {
    if (event.type === "mask") this.masks?.apply(event.structure, framesOf(event))
    if (event.type === "mark") this.showMarks()
    this.onChanged()
  }

  /** A refused stroke is not there any more: show what the server has. */
  reload() {
    if (this.facts) this.open(this.facts)
  }

  /** False where the command is not about drawing. */
  command(name) {
    if (name === "copyToNext" && this.masks && !this.marks.selected) return this.masks.command("copySlice")
    if (name === "escape") return this.escape()
    return this.marks.command(name) || Boolean(this.masks?.command(name))
  }

  /** A key that belongs to what is being drawn, before it is anybody else's. */
  key(event) {
    return this.marks.key(event)
  }

  escape() {
    if (this.marks.escape()) return true
    if (!this.masks?.kind) return false
    this.masks.choose(this.masks.kind)
    return true
  }

  detach() {
    this.marks.detach()
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
