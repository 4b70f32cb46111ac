import { describe, expect, it, vi } from "vitest"

import { History, NOTHING, choose, chooseNone, isAnswer, isSame, makeEvent, toggleUnsure, toggleUnusable } from "../src/answers.js"
import { newId, nextMoment } from "../src/identity.js"
import { KEYS, commandOf } from "../src/keys.js"
import { Outbox } from "../src/outbox.js"
import { colourMap, colourOf, resizeMap } from "../src/overlay.js"

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

  it("travels with all that the server asks for", () => {
    const event = makeEvent(5, choose(null, "normal", single), { event: "e", madeAt: "t", madeIn: "review", schemaVersion: 2 })
    expect(event).toEqual({
      event: "e", type: "label", case: 5, value: { classes: ["normal"] }, unsure: false, unusable: false, note: "",
      schema_version: 2, made_at: "t", made_in: "review",
    })
    expect(isSame(null, NOTHING)).toBe(true)
  })
})

describe("undo", () => {
  it("takes back act by act, and a new act ends what could be repeated", () => {
    const history = new History()
    history.add({ caseId: 1 })
    history.add({ caseId: 2 })
    expect(history.undo().caseId).toBe(2)
    expect(history.redo().caseId).toBe(2)
    history.undo()
    history.add({ caseId: 3 })
    expect(history.redo()).toBe(undefined)
    expect(history.undo().caseId).toBe(3)
    expect(history.undo().caseId).toBe(1)
    expect(history.undo()).toBe(undefined)
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

describe("an overlay", () => {
  it("is stretched between the centres of its cells", () => {
    const map = { shape: [1, 2], values: new Float32Array([0, 1]) }
    expect([...resizeMap(map, 1, 4)]).toEqual([0, 0.25, 0.75, 1])
  })

  it("is brighter the higher the value, and unseen at 0", () => {
    const brightness = [0, 0.25, 0.5, 0.75, 1].map((value) => colourOf(value).reduce((sum, part) => sum + part))
    expect([...brightness].sort((one, other) => one - other)).toEqual(brightness)
    expect(colourMap(new Float32Array([0, 1]))[3]).toBe(0)
    expect(colourMap(new Float32Array([0, 1]))[7]).toBe(255)
  })
})
