// Puts the parts together: the list of cases, the image, the answer, the queue, and what Python learns.

import { Answering } from "./answering.js"
import { Aside } from "./aside.js"
import { Cases, getOwn } from "./cases.js"
import { button, element } from "./dom.js"
import { Drawing, StructurePart } from "./drawing.js"
import { Explainer } from "./explainer.js"
import { fillWindow } from "./fit.js"
import { History } from "./history.js"
import { REPEATABLE, commandOf, isTaken } from "./keys.js"
import { Layout } from "./layout.js"
import { Legend } from "./legend.js"
import { News } from "./news.js"
import { Outbox } from "./outbox.js"
import { ModelPanel } from "./panel.js"
import { ownerOf } from "./queue.js"
import { Recorder } from "./recorder.js"
import { saidBy } from "./said.js"
import { ActiveTime } from "./time.js"
import { TopBar } from "./topbar.js"
import { Watch } from "./watch.js"

const LOOK_MS = 1000 // that a held image stands on the screen before it may be released

const SLOW_MS = 400 // after which an image that is not there yet is said to be on its way
const STUCK_MS = 15000 // after which it may be asked for anew

const cases = new Cases() // shared by every viewer of the page: a case that was seen is still there

export class Viewer {
  constructor(data) {
    this.data = data
    this.mode = data.mode
    this.index = -1
    this.loaded = null // the case on the screen, once its image is there
    this.makeMemory()
    this.makeScreen()
    this.onKey = (event) => this.key(event)
    this.starting = this.news.start()
  }

  /** What was said, what can be taken back, how long it took. */
  makeMemory() {
    this.said = saidBy(ownerOf(this.data.server, this.data.reader))
    this.history = new History()
    this.time = new ActiveTime()
    this.outbox = new Outbox()
    this.news = new News(this)
    this.recorder = new Recorder({
      said: this.said,
      history: this.history,
      time: this.time,
      send: (event) => (this.mode === "check" ? this.tellBoxes(event.case) : this.news.send(event)),
      facts: (id) => (this.loaded?.facts.id === id ? this.loaded.facts : { id }),
      madeIn: this.mode === "review" ? "review" : "label page",
      version: () => this.data.project.schema_version,
    })
  }

  makeScreen() {
    const { project } = this.data
    this.layout = new Layout({ cases, listed: () => this.data.case_ids })
    const say = (text, stays) => this.bar.say(text, stays)
    const { said, recorder, mode, layout } = this
    this.drawing = new Drawing(project, {
      mode, layout, said, recorder, say,
      onChanged: () => this.answering.refresh(),
      onMeasured: (value, measure) => this.answering.part.measure?.(value, measure),
      onTool: (kind) => this.bar?.showTool(kind),
      given: this.data.boxes,
    })
    const answer = (change) => this.answering.answer(change(this.answering.current()))
    const part = this.drawing.masks ? new StructurePart(this.drawing.masks, { answer, say }) : undefined
    this.answering = new Answering(project, {
      mode, said, recorder, part, say, onDone: () => this.go(this.index + 1), onKept: (kept) => this.bar.showKept(kept),
    })
    this.watch = new Watch({ onFacts: (facts) => this.news.learnFacts(facts), onGone: (error) => this.loaded && this.showFault(error, this.loaded.facts.id) })
    this.explainer = new Explainer(this.layout, this.data.look ?? {}, (look) => this.outbox.push({ type: "looked", ...look }))
    this.model = this.mode === "review" ? new ModelPanel(project, Boolean(this.data.model), this.explainer.controls()) : null
    this.explainer.panel = this.model
    this.legend = new Legend(this.mode, project)
    this.aside = new Aside({ again: (event) => this.news.sendAgain(event) })
    this.bar = new TopBar({
      go: (step) => this.go(this.index + step),
      jump: (place) => this.go(place - 1),
      command: (name) => this.run({ command: name }),
    }, this.aside.open, mode)
    this.element = element(
      "div",
      { class: "viewer", "data-mode": this.mode },
      this.bar.element,
      element(
        "div",
        { class: "middle" },
        element("div", { class: "left" }, this.layout.element, element("div", { class: "bars" }, this.layout.bar.element, this.bar.tools)),
        element("aside", {}, this.model?.element, this.answering.draft.element, this.answering.panel.element, this.drawing.marks.panel.element),
      ),
      this.legend.dialog, this.aside.dialog,
    )
    this.layout.on("painted", ({ facts, index }) => {
      this.tellSeen(facts.id)
      // For whoever measures from outside: this picture is in the canvas, and on the screen with this frame.
      this.element.dispatchEvent(new CustomEvent("painted", { bubbles: true, composed: true, detail: { case: facts.id, index } }))
    })
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

  // ---- going from case to case

  go(index) {
    if (index < 0 || index >= this.data.case_ids.length) {
      const last = this.data.more ? "The list comes in parts; the next one follows as you read on." : "This was the last case of the list."
      this.bar.say(index < 0 ? "This is the first case of the list." : last)
      return
    }
    if (index === this.index) return
    this.settle()
    this.bar.fade()
    this.open(index)
    this.outbox.push({ type: "navigated", case: this.data.case_ids[index], index })
  }

  /** What is half drawn or half typed belongs to the case on the screen. */
  settle() {
    this.drawing.settle()
    this.answering.commit()
  }

  async open(index) {
    const id = this.data.case_ids[index]
    this.stopSaying?.()
    this.index = index
    this.loaded = null
    this.time.leave()
    this.watch.leave()
    this.explainer.leave()
    this.showPlace()
    this.answering.close()
    this.drawing.close()
    this.model?.showFinding(null)
    if (id === undefined) {
      this.layout.clear("There is no case in this list.")
      return
    }
    this.element.dataset.case = ""
    if (!cases.isReady(id)) this.layout.clear()
    this.stopSaying = this.sayLoading(id)
    try {
      const [loaded] = await Promise.all([getOwn(cases, id, this.data.reader), this.starting])
      if (this.data.case_ids[this.index] === id && !this.loaded) this.show(loaded)
    } catch (error) {
      if (this.data.case_ids[this.index] === id) this.showFault(error, id)
    }
  }

  /** On a slow line: that the image is on its way, and a way out where a request hangs. Returns how to stop that. */
  sayLoading(id) {
    const ask = () => {
      cases.drop(id)
      this.open(this.data.case_ids.indexOf(id))
    }
    const timers = [
      setTimeout(() => this.layout.clear("Loading"), SLOW_MS),
      setTimeout(() => this.layout.clear("The image has not come yet.", button({ onclick: ask }, "Ask again")), STUCK_MS),
    ]
    return () => timers.forEach(clearTimeout)
  }

  show(loaded) {
    this.stopSaying?.()
    this.loaded = loaded
    const { facts } = loaded
    this.layout.show(loaded)
    this.element.dataset.case = facts.id
    this.time.enter(facts.id, facts.my_label?.active_seconds)
    this.answering.open(facts)
    this.showFinding()
    cases.prefetch(this.data.case_ids, this.index)
    this.openDrawing(loaded)
  }

  /** Masks wait until it is known which there are: what is painted over something unseen would be painted wrongly. */
  async openDrawing({ facts, askedAt }) {
    const needed = Boolean(this.drawing.masks)
    const known = this.watch.enter(facts, askedAt, needed)
    if (needed) await known
    if (this.loaded?.facts !== facts) return
    this.drawing.open(facts)
    this.news.learnFacts(facts)
  }

  /** In a check of pixels the page learns that the image was there to be looked at: before, it releases nothing. */
  tellSeen(id) {
    if (this.mode !== "check" || this.seen) return
    this.seen = setTimeout(() => {
      if (this.loaded?.facts.id === id) this.outbox.push({ type: "seen", case: id })
      else this.seen = 0 // it went away again
    }, LOOK_MS)
  }

  /** What the page does with the boxes waits until it has all of them. */
  holdBack(event) {
    const isAbout = this.data.held_back && event.target.closest?.(`.st-key-${this.data.held_back}`)
    if (!isAbout || this.outbox.isQuiet()) return
    this.keepAway(event)
    this.bar.say("Wait until the page has the last box, and press again.", true)
  }

  /** What the model says of the case on the screen; Python may tell it only after the image is there. */
  showFinding() {
    if (!this.model || !this.loaded) return
    const finding = this.data.findings?.[this.loaded.facts.id] ?? null
    this.model.showFinding(finding)
    this.explainer.enter(this.loaded, this.data, finding)
  }

  showFault(error, id) {
    this.stopSaying?.()
    this.loaded = null
    this.watch.leave()
    this.answering.close()
    this.drawing.close()
    cases.drop?.(id)
    const again = button({ onclick: () => this.open(this.data.case_ids.indexOf(id)) }, "Try again")
    this.layout.clear(error.message, again)
    cases.prefetch(this.data.case_ids, this.index)
  }

  showPlace() {
    this.bar.showPlace(this.index, this.data.case_ids.length + (this.data.more ?? 0))
  }

  /** The page keeps what goes black; nothing of it is anybody's mark. */
  tellBoxes(id) {
    const boxes = this.drawing.marksOf({ id }).map(({ geometry }) => geometry)
    this.outbox.push({ type: "drawn", case: id, boxes })
  }

  // ---- taking back

  /** The last act backwards or forwards, and to the case it concerns. */
  retrace(way) {
    const act = this.recorder[way]()
    if (!act) {
      this.bar.say(way === "undo" ? "There is nothing to take back." : "There is nothing to do again.")
      return
    }
    if (act.caseId === this.loaded?.facts.id) {
      this.drawing.retrace(act, way === "undo" ? "before" : "after")
      this.answering.refresh()
      return
    }
    const index = this.data.case_ids.indexOf(act.caseId)
    if (index >= 0) this.go(index)
    else this.bar.say(`${way === "undo" ? "Taken back" : "Done again"} on case ${act.caseId}, which is not in this list.`)
  }

  // ---- keys

  key(event) {
    if (!this.element.isConnected || event.isComposing) return
    const target = event.composedPath()[0]
    if (isTaken(event, target) || document.querySelector('[role="dialog"]')) return
    const isSheet = this.legend.dialog.open || this.aside.dialog.open
    const isOwn = event.type === "keydown" && !isSheet && !this.answering.panel.armed && this.drawing.key(event)
    if (isOwn || (event.type === "keydown" && !isSheet && this.mode !== "check" && this.answering.key(event))) return this.keepAway(event)
    const asked = commandOf(event, this.mode)
    if (!asked || (isSheet && asked.command !== "legend")) return
    if (event.type === "keyup") {
      if (asked.command === "hide") this.layout.hideOverlays(false)
      return
    }
    this.keepAway(event)
    if (!event.repeat || REPEATABLE.has(asked.command)) this.run(asked)
  }

  /** Also keeps Streamlit's own keys (R runs the page anew, C clears its cache) away from a reader. */
  keepAway(event) {
    event.preventDefault()
    event.stopImmediatePropagation()
  }

  run({ command, digit }) {
    const commands = {
      class: () => this.answering.press(digit),
      previous: () => this.go(this.index - 1),
      next: () => this.go(this.index + 1),
      confirm: () => this.answering.confirm() && this.go(this.index + 1),
      undo: () => this.retrace("undo"),
      redo: () => this.retrace("redo"),
      explain: () => this.explainer.toggle(),
      hide: () => this.layout.hideOverlays(true),
      legend: () => this.legend.toggle(),
    }
    if (commands[command]) commands[command]()
    else if (!this.answering.command(command) && !this.drawing.command(command)) this.layout.command(command, digit)
  }

  // ---- its place on the page

  attach(root) {
    root.append(this.element)
    this.fit = () => fillWindow(this.element)
    this.leaving = () => this.settle()
    this.away = () => this.layout.hideOverlays(false) // a key that is held while the window is left is never released here
    this.pressing = (event) => this.holdBack(event)
    document.addEventListener("click", this.pressing, true)
    window.addEventListener("resize", this.fit)
    window.addEventListener("blur", this.away)
    window.addEventListener("beforeunload", this.leaving, true) // before the queue says whether anything waits
    for (const kind of ["keydown", "keyup"]) window.addEventListener(kind, this.onKey, true)
    this.stopTiming = this.time.follow()
    requestAnimationFrame(this.fit)
    setTimeout(this.fit, 400) // what is above may still be growing
  }

  detach() {
    this.settle()
    this.stopSaying?.()
    clearTimeout(this.seen)
    document.removeEventListener("click", this.pressing, true)
    window.removeEventListener("resize", this.fit)
    window.removeEventListener("blur", this.away)
    window.removeEventListener("beforeunload", this.leaving, true)
    for (const kind of ["keydown", "keyup"]) window.removeEventListener(kind, this.onKey, true)
    this.stopTiming?.()
    this.news.stop()
    this.watch.leave()
    this.answering.close()
    this.drawing.detach()
    this.explainer.close()
    this.outbox.close()
    this.layout.close()
    this.element.remove()
  }
}
