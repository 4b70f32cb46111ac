// What a key does to the answer and to the place in the list, without a screen.

import { describe, expect, it, vi } from "vitest"

import { Answering } from "../src/answering.js"
import { withValue } from "../src/answers.js"
import { Chord } from "../src/chords.js"
import { History } from "../src/history.js"
import { commandOf } from "../src/keys.js"
import { encode } from "../src/masks/runs.js"
import { parseNumber } from "../src/number.js"
import { Recorder, framesOf } from "../src/recorder.js"
import { Said } from "../src/said.js"
import { stateSeen } from "../src/topbar.js"
import { Viewer } from "../src/viewer.js"

const classes = [{ name: "normal", key: "1" }, { name: "pneumonia", key: "2" }]

/** A viewer on the first of two cases; `sent` holds the events on their way, `gone` the places it went to. */
function reading(settings = {}, part = null) {
  const project = { task: "classification", classes, multi_label: false, digit_advances: true, schema_version: 3, ...settings }
  const sent = []
  const gone = []
  const facts = { id: 7, my_label: null }
  const said = new Said()
  const recorder = new Recorder({
    said, history: new History(), time: { seconds: () => 4.2 }, send: (event) => sent.push(event), facts: () => facts,
    madeIn: "label page", version: () => project.schema_version,
  })
  const viewer = Object.assign(Object.create(Viewer.prototype), {
    mode: "label", data: { project, case_ids: [7, 8] }, index: 0, loaded: { facts }, said, recorder, bar: { say() {} }, go: (index) => gone.push(index),
  })
  const answering = Object.assign(Object.create(Answering.prototype), {
    mode: "label", project, said, recorder, facts, say() {}, onDone: () => viewer.go(viewer.index + 1),
    panel: { show() {}, arm(armed) { this.armed = armed }, armed: false },
    draft: { told: () => ({}), leave() {} },
  })
  answering.part = part?.(answering) ?? pressing(answering, project)
  viewer.answering = answering
  const press = (code, extra = {}) => {
    const event = { code, key: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...extra }
    if (!answering.key(event)) viewer.run(commandOf(event, "label"))
  }
  return { viewer, answering, sent, gone, press, facts }
}

/** The classes without their buttons. */
function pressing(answering, project) {
  const chord = new Chord(project.classes)
  return {
    begins: (digit) => chord.leads(digit),
    press(digit) {
      const name = chord.press(digit)
      if (name) answering.choose(name)
    },
  }
}

// The panel's callbacks live in the constructor, which needs a screen.
Answering.prototype.choose = function (name) {
  const { project } = this
  const known = this.current().value?.classes ?? []
  const chosen = !project.multi_label ? [name] : known.includes(name) ? known.filter((one) => one !== name) : [...known, name]
  this.answer(withValue(this.current(), { classes: project.classes.map((label) => label.name).filter((one) => chosen.includes(one)) }), !project.multi_label)
}

describe("a key that is quicker than the image", () => {
  const many = Array.from({ length: 14 }, (_, at) => ({ name: `finding ${at + 1}`, key: at < 9 ? String(at + 1) : "" }))
  const typed = (code, key) => [code, { key }]

  it("leaves no half of two digits, a reason or a number to the case that comes meanwhile", () => {
    vi.useFakeTimers()
    for (const [settings, part, words] of [
      [{ classes: many }, null, [typed("Digit0", "0"), typed("Digit5", "5")]],
      [{}, null, [typed("KeyQ", "q"), typed("Digit1", "1")]],
      [{}, null, [typed("KeyN", "n"), typed("KeyQ", "q")]],
      [{ task: "regression" }, () => ({ begins: () => true, key: () => { throw new Error("a digit of the word") }, confirm: () => true }),
        [typed("Digit4", "4"), typed("Digit2", "2"), ["Enter", { key: "Enter" }]]],
    ]) {
      const { answering, sent, gone, press, facts } = reading(settings, part)
      answering.facts = null // the image is on its way
      const [first, ...rest] = words
      press(...first)
      answering.facts = facts
      for (const one of rest) press(...one)
      expect([sent, gone]).toEqual([[], []])
    }
    vi.useRealTimers()
  })

  it("counts again after a pause, and alone it always counts", () => {
    vi.useFakeTimers()
    const { answering, sent, press, facts } = reading({ classes: many })
    answering.facts = null
    press("Digit0", { key: "0" })
    press("Digit3", { key: "3" })
    answering.facts = facts
    vi.advanceTimersByTime(1001)
    press("Digit0", { key: "0" })
    press("Digit5", { key: "5" })
    expect(sent.map(({ value }) => value)).toEqual([{ classes: ["finding 14"] }])
    answering.facts = null
    press("Digit3", { key: "3" })
    answering.facts = facts
    press("Digit3", { key: "3" })
    expect(sent.at(-1).value).toEqual({ classes: ["finding 3"] })
    vi.useRealTimers()
  })
})

describe("on the label page", () => {
  it("a digit saves and goes on in a single-label project", () => {
    const { sent, gone, press } = reading()
    press("Digit2")
    expect(sent.map((event) => [event.case, event.value.classes])).toEqual([[7, ["pneumonia"]]])
    expect(gone).toEqual([1])
  })

  it("a digit is the same key on every layout: & and é on AZERTY", () => {
    const { sent, press } = reading({ digit_advances: false })
    press("Digit1", { key: "&" })
    press("Digit2", { key: "é" })
    press("Numpad1", { key: "1" })
    expect(sent.map((event) => event.value.classes[0])).toEqual(["normal", "pneumonia", "normal"])
  })

  it("a digit only saves where the project says so, and Enter goes on", () => {
    const { sent, gone, press } = reading({ digit_advances: false })
    press("Digit2")
    expect(gone).toEqual([])
    press("Enter")
    expect(sent.length).toBe(1)
    expect(gone).toEqual([1])
  })

  it("digits toggle in a multi-label project, and Enter goes on", () => {
    const { sent, gone, press } = reading({ multi_label: true })
    for (const digit of ["2", "1", "2"]) press(`Digit${digit}`)
    expect(gone).toEqual([])
    press("Enter")
    expect(sent.map((event) => event.value.classes)).toEqual([["pneumonia"], ["normal", "pneumonia"], ["normal"]])
    expect(gone).toEqual([1])
  })

  it("Enter alone says none of the classes in a multi-label project, and nothing in a single-label one", () => {
    for (const [multi_label, said] of [[true, [{ classes: [] }]], [false, []]]) {
      const { sent, gone, press } = reading({ multi_label })
      press("Enter")
      expect(sent.map((event) => event.value)).toEqual(said)
      expect(gone).toEqual([1])
    }
  })

  it("more than nine classes take two keys", () => {
    const many = Array.from({ length: 11 }, (_, at) => ({ name: `class ${at + 1}`, key: at < 9 ? String(at + 1) : "" }))
    const { sent, gone, press } = reading({ classes: many })
    press("Digit0", { key: "à" })
    expect(sent).toEqual([])
    press("Digit2", { key: "é" })
    expect(sent[0].value.classes).toEqual(["class 11"])
    expect(gone).toEqual([1])
  })

  it("an answer carries the time it took and the classes it was chosen from", () => {
    const { sent, press } = reading()
    press("Digit1")
    expect(sent[0]).toMatchObject({ type: "label", made_in: "label page", schema_version: 3, active_seconds: 4.2, unsure: false, unusable: false, note: "" })
    expect(sent[0]).not.toHaveProperty("confidence")
  })

  it("an unusable image is said at once; a digit then gives the reason and goes on", () => {
    const { sent, gone, press } = reading()
    press("KeyQ")
    expect(sent[0]).toMatchObject({ value: null, unusable: true })
    expect(gone).toEqual([])
    const { answering, sent: told, gone: left, press: again } = reading()
    answering.panel.pressReason = (digit) => answering.giveReason(`reason ${digit}`)
    again("KeyQ")
    again("Digit3")
    expect(told.at(-1)).toMatchObject({ unusable: true, unusable_reason: "reason 3" })
    expect(left).toEqual([1])
  })

  it("undo takes the answer back, also one of another case, and goes to it", () => {
    const { viewer, sent, gone, press } = reading({ digit_advances: false })
    press("Digit1")
    viewer.loaded = { facts: { id: 8 } }
    press("KeyZ", { key: "z", ctrlKey: true })
    expect(sent.map((event) => event.value)).toEqual([{ classes: ["normal"] }, null])
    expect(gone).toEqual([0])
    press("KeyZ", { key: "y", ctrlKey: true }) // QWERTZ: Ctrl+Y is where Z is elsewhere
    expect(sent.at(-1).value).toEqual({ classes: ["normal"] })
  })

  it("a remark without an answer is said to be kept in this tab, not saved, until there is one", () => {
    const { answering, sent, press } = reading()
    const kept = []
    answering.onKept = (one) => kept.push(one)
    press("KeyU")
    answering.writeNote("rib or nodule?")
    expect([sent, kept.at(-1)]).toEqual([[], true])
    answering.close() // to another case and back
    expect(kept.at(-1)).toBe(false)
    answering.facts = { id: 7, my_label: null }
    answering.refresh()
    expect(kept.at(-1)).toBe(true)
    press("Digit1")
    expect([sent.length, sent[0].note, sent[0].unsure, kept.at(-1)]).toEqual([1, "rib or nodule?", true, false])
  })

  it("the header does not say Saved over such a remark, and trouble comes first", () => {
    const saved = { kind: "saved", text: "Saved 10:42:03" }
    const offline = { kind: "offline", text: "Not saved: no connection" }
    expect(stateSeen(saved, true).text).toBe("Kept in this tab until you give an answer.")
    expect(stateSeen(undefined, true).text).toBe("Kept in this tab until you give an answer.")
    expect([stateSeen(saved, false), stateSeen(offline, true)]).toEqual([saved, offline])
  })

  it("in a blind-first project with a model's help the first answer stays for the draft", () => {
    const { gone, press } = reading({ blind_first: true, assisted: true })
    press("Digit1")
    expect(gone).toEqual([])
    press("Digit2")
    expect(gone).toEqual([1])
  })

  it("an accepted draft is the reader's answer, also where they had given it already", () => {
    const { answering, sent, gone } = reading({ assisted: true })
    answering.draft = { told: (value) => ({ draft: { model: 4, outcome: "accepted", value } }) }
    const value = { classes: ["pneumonia"] }
    answering.acceptDraft({ value })
    answering.acceptDraft({ value })
    expect(sent.map((event) => [event.value, event.draft])).toEqual(Array(2).fill([value, { model: 4, outcome: "accepted", value }]))
    expect(gone).toEqual([1, 1])
  })
})

describe("a list that comes in parts", () => {
  function listed(data) {
    const said = []
    const viewer = Object.assign(Object.create(Viewer.prototype), {
      index: 1, data: { ...data, index: 0 }, outbox: { acknowledge() {}, isQuiet: () => false },
      bar: { say: (text) => said.push(text), showProgress() {}, showPlace: (...place) => said.push(place) },
    })
    return { viewer, said }
  }

  it("says at its end whether more is on its way, and counts what is", () => {
    const { viewer, said } = listed({ case_ids: [7, 8], more: 3 })
    viewer.go(2)
    viewer.showPlace()
    expect(said).toEqual(["The list comes in parts; the next one follows as you read on.", [1, 5]])
    const whole = listed({ case_ids: [7, 8], more: 0 })
    whole.viewer.go(2)
    expect(whole.said).toEqual(["This was the last case of the list."])
  })

  it("leaves the reader on their case when the next part comes", () => {
    const { viewer, said } = listed({ case_ids: [7, 8], more: 2 })
    viewer.update({ case_ids: [7, 8, 9, 10], more: 0, index: 1 })
    expect([viewer.index, viewer.data.case_ids[viewer.index + 1]]).toEqual([1, 9])
    expect(said).toEqual([[1, 4]])
  })
})

describe("a number", () => {
  const part = (answering) => ({
    text: "",
    get isChanged() {
      return this.text !== ""
    },
    key({ code }) {
      const digit = /^Digit(\d)$/.exec(code)
      if (digit) this.text += digit[1]
      return Boolean(digit)
    },
    confirm() {
      if (Number(this.text) > 200) return false
      answering.answer(withValue(answering.current(), { value: parseNumber(this.text) }))
      return true
    },
    said: { textContent: "too much" },
  })
  const project = { task: "regression", target: "age", unit: "months", low: 0, high: 200 }

  it("is typed by digits, and Enter saves it and goes on", () => {
    const { sent, gone, press } = reading(project, part)
    press("Digit4")
    press("Digit2")
    expect(sent).toEqual([])
    press("Enter")
    expect(sent.map((event) => event.value)).toEqual([{ value: 42 }])
    expect(gone).toEqual([1])
  })

  it("out of range stays until it is mended", () => {
    const { sent, gone, press } = reading(project, part)
    for (const digit of "900") press(`Digit${digit}`)
    press("Enter")
    expect([sent, gone]).toEqual([[], []])
  })
})

describe("marks and strokes", () => {
  const mark = { mark: "m1", kind: "box", frame: 0, geometry: { x: 1, y: 2, width: 3, height: 4 }, label: "nodule" }

  it("are sent as they are, and undo sends what was there before", () => {
    const { viewer, sent } = reading()
    const moved = { ...mark, geometry: { ...mark.geometry, x: 9 } }
    viewer.recorder.do({ kind: "mark", caseId: 7, before: null, after: mark })
    viewer.recorder.do({ kind: "mark", caseId: 7, before: mark, after: moved })
    viewer.recorder.undo()
    viewer.recorder.undo()
    expect(sent.map((event) => [event.type, event.mark, event.geometry.x, event.deleted])).toEqual([
      ["mark", "m1", 1, false], ["mark", "m1", 9, false], ["mark", "m1", 1, false], ["mark", "m1", 1, true],
    ])
    expect(viewer.said.marksOf({ id: 7 })).toEqual([])
    viewer.recorder.redo()
    expect(viewer.said.marksOf({ id: 7 })).toMatchObject([mark])
  })

  it("of the server give way to newer ones from here, and the other way round", () => {
    const said = new Said()
    said.keep({ type: "mark", case: 7, ...mark, deleted: true, made_at: "2026-11-26T10:00:05.000Z" })
    const stored = (made_at) => ({ id: 7, marks: [{ ...mark, made_at }] })
    expect(said.marksOf(stored("2026-11-26T10:00:00.000Z"))).toEqual([])
    expect(said.marksOf(stored("2026-11-26T10:00:09.000Z"))).toHaveLength(1)
  })

  it("of a brush hold whole frames as runs, and wait until the server has them", () => {
    const { viewer, sent } = reading()
    const [empty, painted] = [encode(new Uint8Array(16)), encode(new Uint8Array(16).fill(1, 3, 7))]
    viewer.recorder.do({ kind: "mask", caseId: 7, structure: "liver", before: new Map([[2, empty]]), after: new Map([[2, painted]]) })
    expect(sent[0]).toMatchObject({ type: "mask", structure: "liver", case: 7 })
    expect([...framesOf(sent[0]).get(2)]).toEqual([...painted])
    expect(viewer.said.strokesOf(7)).toHaveLength(1)
    viewer.said.acknowledged(sent[0])
    expect(viewer.said.strokesOf(7)).toEqual([])
    viewer.recorder.undo()
    expect([...framesOf(sent[1]).get(2)]).toEqual([...empty])
  })

  it("of a brush are said later than those of another computer, whose clock is ahead", () => {
    const ahead = new Date(Date.now() + 60000).toISOString()
    expect(new Said().lastMoment({ id: 7, my_label: null, painted_at: ahead })).toBe(ahead)
    expect(new Said().lastMoment({ id: 7, my_label: null, painted_at: null })).toBe(undefined)
  })
})

describe("what was said", () => {
  const label = (value, made_at) => ({ type: "label", case: 7, value, unsure: false, unusable: false, note: "", made_at, event: made_at })
  const now = "2026-11-26T10:00:05.000Z"

  it("in another tab counts where it is newer, and not where it is older", () => {
    const said = new Said()
    expect(said.keep(label({ classes: ["normal"] }, now))).toBe(true)
    expect(said.keep(label({ classes: ["pneumonia"] }, "2026-11-26T10:00:01.000Z"))).toBe(false)
    expect(said.answer({ id: 7, my_label: null }).value).toEqual({ classes: ["normal"] })
  })

  it("and was refused by the server does not count", () => {
    const said = new Said()
    said.keep(label({ classes: ["normal"] }, now))
    said.refused(label({ classes: ["normal"] }, now))
    expect(said.answer({ id: 7, my_label: null }).value).toBe(null)
  })
})
