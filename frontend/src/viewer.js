// Puts the parts together: the list of cases, the image, the answer, the queue, and what Python learns.

import { History, NOTHING, choose, chooseNone, isAnswer, isSame, makeEvent, toggleUnsure, toggleUnusable } from "./answers.js"
import { Cases } from "./cases.js"
import { button, element } from "./dom.js"
import { Explainer } from "./explainer.js"
import { newId, nextMoment } from "./identity.js"
import { REPEATABLE, commandOf, isTaken } from "./keys.js"
import { Layout } from "./layout.js"
import { Legend } from "./legend.js"
import { Outbox } from "./outbox.js"
import { AnswerPanel, ModelPanel } from "./panel.js"
import { stateText } from "./queue.js"
import { queueOf } from "./sending.js"
import { TopBar } from "./topbar.js"

const cases = new Cases() // shared by every viewer of the page: a case that was seen is still there

export class Viewer {
  constructor(data) {
    this.data = data
    this.mode = data.mode
    this.index = -1
    this.loaded = null // the case on the screen, once its image is there
    this.said = new Map() // case id -> {answer, madeAt}: what was said here or waits to be sent
    this.history = new History()
    this.outbox = new Outbox()
    this.layout = new Layout()
    this.answers = new AnswerPanel(data.project, this.mode, {
      choose: (name) => this.choose(name),
      none: () => this.answer(chooseNone(this.current())),
      unsure: () => this.answer(toggleUnsure(this.current())),
      unusable: () => this.markUnusable(),
      note: (text) => this.writeNote(text),
    })
    this.explainer = new Explainer(this.layout)
    this.model = this.mode === "review" ? new ModelPanel(data.project, Boolean(data.model), this.explainer.controls()) : null
    this.explainer.panel = this.model
    this.legend = new Legend(this.mode, data.project)
    this.bar = new TopBar({
      go: (step) => this.go(this.index + step),
      jump: (place) => this.go(place - 1),
      command: (name) => this.run({ command: name }),
    })
    this.element = element(
      "div",
      { class: "viewer", "data-mode": this.mode },
      this.bar.element,
      element(
        "div",
        { class: "middle" },
        element("div", { class: "left" }, this.layout.element, this.bar.tools),
        element("aside", {}, this.model?.element, this.answers.element),
      ),
      this.legend.dialog,
    )
    this.onKey = (event) => this.key(event)
    this.starting = this.start()
  }

  /** What waits from an earlier page counts as said; then send it. */
  async start() {
    const queue = await queueOf(this.data.server, this.data.reader)
    this.queue = queue
    queue.onState = (state) => this.bar.showState(state, stateText(state, queue.store.isDurable))
    queue.onStored = (event, receipt) => this.learnStored(event, receipt)
    queue.onRefused = (event, reason) => this.bar.say(`An answer was refused: ${reason}`, true)
    for (const event of await queue.pending()) {
      const { value, unsure, unusable, note } = event
      this.said.set(event.case, { answer: { value, unsure, unusable, note }, madeAt: event.made_at })
    }
    queue.flush()
  }

  // ---- what Python says

  update(data) {
    this.outbox.acknowledge(data.outbox, data.seen)
    const moved = this.data.case_ids[this.index] // the case on the screen, wherever a new list has it
    this.data = data
    this.bar.showProgress(data)
    const kept = data.case_ids.indexOf(moved)
    if (this.index < 0 || kept < 0) return this.open(data.index)
    // A rerun that began before the reader's last step knows an old place: it must not pull the reader back.
    if (this.outbox.isQuiet() && data.case_ids[data.index] !== moved) return this.open(data.index)
    this.index = kept
    this.showPlace()
    this.showFinding()
    return Promise.resolve()
  }

  learnStored(event, receipt) {
    const { value, unsure, unusable } = event
    this.outbox.push({ type: "labelled", case: event.case, label: receipt.label, value, unsure, unusable })
  }

  // ---- going from case to case

  go(index) {
    if (index < 0 || index >= this.data.case_ids.length) {
      this.bar.say(index < 0 ? "This is the first case of the list." : "This was the last case of the list.")
      return
    }
    if (index === this.index) return
    this.commitNote()
    this.open(index)
    this.outbox.push({ type: "navigated", case: this.data.case_ids[index], index })
  }

  async open(index) {
    const id = this.data.case_ids[index]
    this.index = index
    this.loaded = null
    this.explainer.leave()
    this.showPlace()
    this.answers.show(NOTHING, false)
    this.model?.showFinding(null)
    if (id === undefined) {
      this.layout.clear("There is no case in this list.")
      return
    }
    this.element.dataset.case = ""
    if (!cases.isReady(id)) this.layout.clear()
    try {
      const [loaded] = await Promise.all([cases.get(id), this.starting])
      if (this.data.case_ids[this.index] === id && !this.loaded) this.show(loaded)
    } catch (error) {
      if (this.data.case_ids[this.index] === id) this.showFault(error, id)
    }
  }

  show(loaded) {
    this.loaded = loaded
    const { facts } = loaded
    this.layout.show(loaded)
    cases.shown = new Set([facts.id])
    this.element.dataset.case = facts.id
    this.answers.show(this.current(), true)
    this.showFinding()
    cases.prefetch(this.data.case_ids, this.index)
  }

  /** What the model says of the case on the screen; Python may tell it only after the image is there. */
  showFinding() {
    if (!this.model || !this.loaded) return
    const finding = this.data.findings?.[this.loaded.facts.id] ?? null
    this.model.showFinding(finding)
    this.explainer.enter(this.loaded, this.data, finding)
  }

  showFault(error, id) {
    const again = button({ onclick: () => this.open(this.data.case_ids.indexOf(id)) }, "Try again")
    this.layout.clear(error.message, again)
    cases.prefetch(this.data.case_ids, this.index)
  }

  showPlace() {
    this.bar.showPlace(this.index, this.data.case_ids.length)
  }

  // ---- what the reader says

  /** The answer to the case on the screen: what was said here, unless the server knows a newer one. */
  current() {
    if (!this.loaded) return NOTHING
    const { id, my_label: stored } = this.loaded.facts
    const local = this.said.get(id)
    if (stored && (!local || stored.made_at > local.madeAt)) {
      const { value, unsure, unusable, note } = stored
      return { value, unsure, unusable, note }
    }
    return local?.answer ?? NOTHING
  }

  choose(name) {
    this.answer(choose(this.current(), name, this.data.project), !this.data.project.multi_label)
  }

  markUnusable() {
    const after = toggleUnusable(this.current())
    this.answer(after, after.unusable && !this.data.project.multi_label)
  }

  writeNote(note) {
    if (this.loaded && note !== this.current().note) this.answer({ ...this.current(), note })
  }

  /** What stands in the note field belongs to this case, also when a key leads away from it. */
  commitNote() {
    this.writeNote(this.answers.note.value)
    this.answers.note.blur()
  }

  /** @param {boolean} complete whether the reader is done with the case, where the project goes on by itself */
  answer(after, complete = false) {
    if (!this.loaded) {
      this.bar.say("Wait for the image.")
      return
    }
    const before = this.current()
    const caseId = this.loaded.facts.id
    if (!isSame(before, after)) {
      this.history.add({ caseId, before, after })
      this.record(caseId, before, after)
    }
    if (complete && this.mode === "label" && this.data.project.digit_advances) this.go(this.index + 1)
  }

  /** Keep it and send it; a mark or a note without an answer waits for the answer. */
  record(caseId, before, after) {
    const stored = this.loaded?.facts.id === caseId ? this.loaded.facts.my_label?.made_at : undefined
    const madeAt = nextMoment([this.said.get(caseId)?.madeAt, stored].filter(Boolean).sort().at(-1))
    this.said.set(caseId, { answer: after, madeAt })
    if (this.loaded?.facts.id === caseId) this.answers.show(after, true)
    if (!isAnswer(before) && !isAnswer(after)) return
    const answer = isAnswer(after) ? after : NOTHING
    const event = makeEvent(caseId, answer, {
      event: newId(),
      madeAt,
      madeIn: this.mode === "review" ? "review" : "label page",
      schemaVersion: this.data.project.schema_version,
    })
    this.starting.then(() => this.queue.add(event))
  }

  retrace(act, from, to) {
    if (!act) {
      this.bar.say("There is nothing to take back or to repeat.")
      return
    }
    this.record(act.caseId, act[from], act[to])
    const index = this.data.case_ids.indexOf(act.caseId)
    if (index >= 0) this.go(index)
  }

  // ---- keys

  key(event) {
    if (!this.element.isConnected || event.isComposing) return
    const target = event.composedPath()[0]
    if (isTaken(event, target) || document.querySelector('[role="dialog"]')) return
    const asked = commandOf(event, this.mode)
    if (!asked || (this.legend.dialog.open && asked.command !== "legend")) return
    if (event.type === "keyup") {
      if (asked.command === "hide") this.explainer.hide(false)
      return
    }
    // Also keeps Streamlit's own keys (R runs the page anew, C clears its cache) away from a reader.
    event.preventDefault()
    event.stopImmediatePropagation()
    if (!event.repeat || REPEATABLE.has(asked.command)) this.run(asked)
  }

  run({ command, digit }) {
    const commands = {
      class: () => this.pressDigit(digit),
      previous: () => this.go(this.index - 1),
      next: () => this.go(this.index + 1),
      confirm: () => this.confirm(),
      unsure: () => this.answer(toggleUnsure(this.current())),
      unusable: () => this.markUnusable(),
      note: () => this.answers.note.focus(),
      undo: () => this.retrace(this.history.undo(), "after", "before"),
      redo: () => this.retrace(this.history.redo(), "before", "after"),
      explain: () => this.explainer.toggle(),
      hide: () => this.explainer.hide(true),
      legend: () => this.legend.toggle(),
    }
    if (commands[command]) commands[command]()
    else this.layout.command(command)
  }

  pressDigit(digit) {
    const { project } = this.data
    const label = project.classes.find((known) => known.key === digit)
    if (label) this.choose(label.name)
    else if (digit === "0" && project.multi_label) this.answer(chooseNone(this.current()))
  }

  /** Enter: on to the next case; in multi-label projects it also says "none of these" where nothing was chosen. */
  confirm() {
    if (!this.loaded) {
      this.bar.say("Wait for the image.")
      return
    }
    if (this.data.project.multi_label && !isAnswer(this.current())) this.answer(chooseNone(this.current()))
    this.go(this.index + 1)
  }

  // ---- its place on the page

  attach(root) {
    root.append(this.element)
    this.fit = () => fillWindow(this.element)
    this.away = () => this.explainer.hide(false) // a key that is held while the window is left is never released here
    window.addEventListener("resize", this.fit)
    window.addEventListener("blur", this.away)
    for (const kind of ["keydown", "keyup"]) window.addEventListener(kind, this.onKey, true)
    requestAnimationFrame(this.fit)
    setTimeout(this.fit, 400) // what is above may still be growing
  }

  detach() {
    this.commitNote()
    window.removeEventListener("resize", this.fit)
    window.removeEventListener("blur", this.away)
    for (const kind of ["keydown", "keyup"]) window.removeEventListener(kind, this.onKey, true)
    this.explainer.leave()
    this.outbox.close()
    this.layout.close()
    this.element.remove()
  }
}

const LOWEST_PX = 440

/** As high as the window leaves, so that the page never scrolls while somebody reads. */
function fillWindow(own) {
  const scroller = document.querySelector('[data-testid="stMain"]')
  const block = document.querySelector('[data-testid="stMainBlockContainer"]')
  const above = own.getBoundingClientRect().top + (scroller?.scrollTop ?? 0)
  const below = block ? parseFloat(getComputedStyle(block).paddingBottom) || 0 : 0
  own.style.height = `${Math.max(LOWEST_PX, Math.floor(window.innerHeight - above - Math.max(12, below) - 2))}px`
}
