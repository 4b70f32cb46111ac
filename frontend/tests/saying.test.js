import { describe, expect, it, vi } from "vitest"

import { NOTHING, choose, chooseNone, isAnswer, isSame, nextConfidence, toggleUnsure, toggleUnusable, withConfidence, withReason } from "../src/answers.js"
import { newId, nextMoment } from "../src/identity.js"
import { KEYS, commandOf } from "../src/keys.js"
import { Outbox } from "../src/outbox.js"
import { saidBy } from "../src/said.js"

const classes = [{ name: "normal", key: "1" }, { name: "pneumonia", key: "2" }]
const single = { multi_label: false, classes }
const multi = { multi_label: true, classes }
const press = (code, extra = {}) => ({ code, key: extra.key ?? "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...extra })

describe("an answer", () => {
  it("has one class in a single-label project", () => {
    const first = choose(null, "normal", single)
    expect(choose(first, "pneumonia", single).value).toEqual({ classes: ["pneumonia"] })
  })

  it("has any classes in a multi-label project, in the order of the schema", () => {
    const both = choose(choose(null, "pneumonia", multi), "normal", multi)
    expect(both.value).toEqual({ classes: ["normal", "pneumonia"] })
    expect(choose(both, "normal", multi).value).toEqual({ classes: ["pneumonia"] })
    expect(isAnswer(chooseNone(null))).toBe(true)
  })

  it("is none while it only carries a mark or a note", () => {
    expect(isAnswer(toggleUnsure({ ...NOTHING, note: "blurred" }))).toBe(false)
    expect(isAnswer(toggleUnusable(null))).toBe(true)
    expect(isAnswer(toggleUnusable(toggleUnusable(null)))).toBe(false)
  })

  it("that is unusable names no class, and naming one makes it usable again", () => {
    const unusable = toggleUnusable(choose(null, "normal", single))
    expect(unusable.value).toBe(null)
    expect(choose(unusable, "normal", single).unusable).toBe(false)
  })

  it("that is unusable may say why, and giving the reason says that it is", () => {
    const blurred = withReason(choose(null, "normal", single), "motion or blur")
    expect([blurred.unusable, blurred.value, blurred.unusable_reason]).toEqual([true, null, "motion or blur"])
    expect(toggleUnusable(blurred).unusable_reason).toBe("")
    expect(choose(blurred, "normal", single).unusable_reason).toBe("")
  })

  it("may say how sure the reader is, step by step or by number", () => {
    const levels = []
    let answer = choose(null, "normal", single)
    for (let step = 0; step < 6; step++) levels.push((answer = nextConfidence(answer)).confidence)
    expect(levels).toEqual([1, 2, 3, 4, 5, null])
    expect(withConfidence(withConfidence(answer, 4), 4).confidence).toBe(null)
    expect(isSame(answer, withConfidence(answer, 4))).toBe(false)
  })

  it("names no class any more that is no longer offered", () => {
    const project = { multi_label: true, classes: [...classes, { name: "old", key: "", retired: true }] }
    const before = { ...NOTHING, value: { classes: ["old"] } }
    expect(choose(before, "normal", project).value).toEqual({ classes: ["normal"] })
    expect(isSame(null, NOTHING)).toBe(true)
  })
})

describe("keys", () => {
  it("go by their place: AZERTY prints & on the digit 1, QWERTZ prints y where Z is", () => {
    expect(commandOf(press("Digit1", { key: "&" }), "label")).toEqual({ command: "class", digit: "1" })
    expect(commandOf(press("Numpad3", { key: "3" }), "label")).toEqual({ command: "class", digit: "3" })
    expect(commandOf(press("KeyQ", { key: "a" }), "label").command).toBe("unusable")
  })

  it("with Ctrl go by the letter that is printed", () => {
    expect(commandOf(press("KeyY", { key: "z", ctrlKey: true }), "label").command).toBe("undo")
    expect(commandOf(press("KeyZ", { key: "Z", ctrlKey: true, shiftKey: true }), "label").command).toBe("redo")
    expect(commandOf(press("KeyC", { key: "c", ctrlKey: true }), "label")).toBe(null)
  })

  it("of the overlay are there in review only", () => {
    expect(commandOf(press("KeyG"), "label")).toBe(null)
    expect(commandOf(press("KeyG"), "review").command).toBe("explain")
  })

  it("are each given out once", () => {
    expect(new Set(KEYS.map(([code]) => code)).size).toBe(KEYS.length)
  })
})

describe("what was said", () => {
  const [early, late] = ["2026-11-26T10:00:00.000Z", "2026-11-26T10:00:05.000Z"]

  it("outlives the viewer: a case that was loaded before it tells an answer that is over", () => {
    const facts = { id: 5, my_label: { value: { classes: ["normal"] }, made_at: early } }
    saidBy("here|ann").keepAnswer(5, { ...NOTHING, value: { classes: ["pneumonia"] } }, late)
    expect(saidBy("here|ann").answer(facts).value).toEqual({ classes: ["pneumonia"] })
    expect(saidBy("here|ben").answer(facts).value).toEqual({ classes: ["normal"] })
  })

  it("holds each stroke once, in the order they were made, however often a viewer is told of them", () => {
    const strokes = ["a", "b"].map((event) => ({ type: "mask", event, case: 7, structure: "liver", frames: {}, made_at: early }))
    for (const stroke of [...strokes, ...strokes]) saidBy("here|ann").keep(stroke)
    expect(saidBy("here|ann").strokesOf(7)).toEqual(strokes)
  })
})

describe("what Streamlit learns", () => {
  it("is repeated until Python has seen it, in order, each under its own number", () => {
    vi.useFakeTimers()
    const outbox = new Outbox()
    const sent = []
    outbox.send = (batch) => sent.push(batch.events.map((event) => event.number))
    outbox.push({ type: "navigated" })
    outbox.push({ type: "labelled" })
    vi.advanceTimersByTime(100)
    expect(sent).toEqual([[1, 2]])
    outbox.acknowledge("another page", 9)
    outbox.acknowledge(outbox.id, 1)
    expect(outbox.isQuiet()).toBe(false)
    vi.advanceTimersByTime(3100)
    expect(sent.at(-1)).toEqual([2])
    outbox.acknowledge(outbox.id, 2)
    vi.advanceTimersByTime(10000)
    expect(sent).toHaveLength(2)
    vi.useRealTimers()
  })
})

describe("moments and names", () => {
  it("never repeat", () => {
    const moments = Array.from({ length: 50 }, () => nextMoment())
    expect([...moments].sort()).toEqual(moments)
    expect(new Set(moments).size).toBe(50)
    const ahead = new Date(Date.now() + 3600000).toISOString() // the clock was an hour ahead, then set back
    expect(nextMoment(ahead) > ahead).toBe(true)
    expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})
