// The reader's answer to the case on the screen: what the panel and the keys do to it.

import {
  NOTHING, choose, chooseNone, isAnswer, isRemark, isSame, nextConfidence, toggleUnsure, toggleUnusable, withConfidence, withReason, withValue,
} from "./answers.js"
import { DraftBox } from "./draftbox.js"
import { commandOf } from "./keys.js"
import { AnswerPanel } from "./panel.js"

const TORN_MS = 1000 // a pause after which keys belong to what is on the screen

export class Answering {
  /**
   * @param {object} project
   * @param {{mode: string, said: object, recorder: object, part?: object, say: (text: string, stays?: boolean) => void,
   *   onDone: () => void, onKept?: (kept: boolean) => void}} parts
   *   `onDone`: the reader is done with the case; `onKept`: whether what is said waits in the tab for an answer
   */
  constructor(project, parts) {
    Object.assign(this, parts)
    this.project = project
    this.facts = null
    this.tornAt = -Infinity // when the last key of a word came whose beginning found no image
    this.panel = new AnswerPanel(project, this.mode, {
      choose: (name) => this.answer(choose(this.current(), name, project), !project.multi_label),
      none: () => this.answer(chooseNone(this.current())),
      number: (value) => this.answer(withValue(this.current(), value === null ? null : { value })),
      numbers: (values) => this.answer(withValue(this.current(), values === null ? null : { values })),
      done: () => this.confirm() && this.onDone(),
      unsure: () => this.answer(toggleUnsure(this.current())),
      unusable: () => this.markUnusable(),
      reason: (text) => this.giveReason(text),
      confidence: (level) => this.answer(withConfidence(this.current(), level)),
      note: (text) => this.writeNote(text),
    }, this.part)
    this.part = this.panel.part
    this.draft = new DraftBox(project, {
      accept: (draft) => this.acceptDraft(draft),
      reject: () => this.rejectDraft(),
    }, this.mode === "label" && Boolean(project.assisted))
  }

  // ---- the case

  /** A case is on the screen. */
  open(facts) {
    this.facts = facts
    this.show(this.current(), true, true)
    this.askDraft()
  }

  close() {
    this.facts = null
    this.draft.leave()
    this.show(NOTHING, false, true)
  }

  /** Something about this case became known: from another tab, from the server, by undo. */
  refresh() {
    if (this.facts) this.show(this.current(), true)
  }

  show(answer, ready, fresh) {
    this.panel.show(answer, ready, fresh)
    this.onKept?.(ready && isRemark(answer))
  }

  current() {
    return this.facts ? this.said.answer(this.facts) : NOTHING
  }

  /** In a blind-first project the server tells a draft only once it has the reader's own answer. */
  askDraft() {
    if (this.facts && this.mode === "label") this.draft.enter(this.facts.id, isAnswer(this.current()))
  }

  /** What stands in a field belongs to this case, also when a key leads away from it. */
  commit() {
    if (!this.facts) return
    this.writeNote(this.panel.note.value)
    this.panel.note.blur()
    if (this.part.isChanged && !(this.part.commit ? this.part.commit() : this.part.confirm())) this.say(`Not saved: ${this.part.said.textContent}`, true)
  }

  // ---- what is said

  /** @param {boolean} complete whether the reader is done with the case, where the project goes on by itself */
  answer(after, complete = false) {
    if (!this.facts) {
      this.say("Wait for the image.")
      return
    }
    const before = this.current()
    const first = !isAnswer(before)
    if (!isSame(before, after)) {
      this.recorder.do({ kind: "label", caseId: this.facts.id, before, after }, this.draft.told(after.value))
      this.show(after, true)
    }
    // A draft that may only be seen after the first answer is worth a look before the next case.
    const waits = first && this.project.assisted && this.project.blind_first
    if (complete && !waits && this.mode === "label" && this.project.digit_advances) this.onDone()
  }

  markUnusable() {
    const after = toggleUnusable(this.current())
    this.answer(after)
    if (this.facts) this.panel.arm(after.unusable)
  }

  giveReason(text) {
    this.panel.arm(false)
    this.answer(withReason(this.current(), text), !this.project.multi_label)
  }

  writeNote(note) {
    if (this.facts && note !== this.current().note) this.answer({ ...this.current(), note })
  }

  acceptDraft(draft) {
    const same = this.current().value !== null && JSON.stringify(this.current().value) === JSON.stringify(draft.value)
    if (same) this.record()
    this.answer(withValue(this.current(), draft.value), true)
  }

  /** Where the answer stands already, that the draft was wrong is stored with it at once, otherwise with the answer. */
  rejectDraft() {
    if (isAnswer(this.current())) this.record()
  }

  /** The same answer once more, for what has become known about its draft. */
  record() {
    const answer = this.current()
    this.recorder.record({ kind: "label", caseId: this.facts.id, before: answer, after: answer }, "after", this.draft.told(answer.value))
  }

  // ---- keys

  /** A key that goes into the answer itself: a reason, a number. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false
    if (this.isTorn(event)) {
      this.say(this.facts ? "The image has come only now: begin again." : "Wait for the image.")
      return true
    }
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)
    if (this.panel.armed && digit && !event.shiftKey) {
      this.panel.pressReason(digit[1])
      return true
    }
    if (this.panel.armed && event.code === "Escape") {
      this.panel.arm(false)
      return true
    }
    return Boolean(this.facts) && Boolean(this.part.key?.(event))
  }

  /**
   * Whether a key belongs to a word (two digits of a class, a number, a reason after Q, a note after N) that was begun
   * before the image was there. Alone, the rest of it would be another answer: 2 of 42, the class 5 of 0 5.
   */
  isTorn(event) {
    const now = performance.now()
    const ends = event.key === "Enter"
    const goesOn = now - this.tornAt < TORN_MS && (ends || event.key.length === 1)
    const isTorn = goesOn || (!this.facts && this.begins(event))
    if (event.key !== "Shift") this.tornAt = isTorn && !ends ? now : -Infinity
    return isTorn
  }

  /** Whether a key is the first of several. */
  begins(event) {
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)
    if (digit && !event.shiftKey && this.part.begins?.(digit[1])) return true
    return ["note", "unusable"].includes(commandOf(event, this.mode)?.command)
  }

  press(digit) {
    if (!this.facts) this.say("Wait for the image.")
    else this.part.press?.(digit)
  }

  /** Enter: whether the reader may go on; in multi-label projects it also says "none of these" where nothing was chosen. */
  confirm() {
    if (!this.facts) {
      this.say("Wait for the image.")
      return false
    }
    this.panel.arm(false)
    if (this.current().unusable) return true
    if (this.part.confirm && !this.part.confirm()) return false
    if (this.project.multi_label && !isAnswer(this.current())) this.answer(chooseNone(this.current()))
    return true
  }

  /** False where the command is not about the answer. */
  command(name) {
    const commands = {
      unsure: () => this.answer(toggleUnsure(this.current())),
      unusable: () => this.markUnusable(),
      confidence: () => this.answer(nextConfidence(this.current())),
      note: () => this.panel.note.focus(),
      search: () => this.part.focusSearch?.(),
      acceptDraft: () => this.draft.take(),
      rejectDraft: () => this.draft.refuse(),
    }
    if (!commands[name]) return false
    commands[name]()
    return true
  }
}
