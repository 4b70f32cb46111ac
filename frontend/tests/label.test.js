// The parts of the label page that need no screen: time, numbers, chords, drafts, and what can be taken back.

import "fake-indexeddb/auto"
import { IDBFactory } from "fake-indexeddb"
import { beforeEach, describe, expect, it, vi } from "vitest"

import { Chord, chordText, chordsOf, searchClasses } from "../src/chords.js"
import { draftText, mayAsk, outcomeOf } from "../src/drafts.js"
import { History } from "../src/history.js"
import { faultOf, parseNumber, typed } from "../src/number.js"
import { openStore } from "../src/store.js"
import { ActiveTime, duration, paceText } from "../src/time.js"

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory()
})

const classes = (count) => Array.from({ length: count }, (_, at) => ({ name: `class ${at + 1}`, key: at < 9 ? String(at + 1) : "" }))
const keyed = (code, key = "", shiftKey = false) => ({ code, key, shiftKey })

describe("active time", () => {
  it("leaves out what passes half a minute after the last sign of the reader", () => {
    let now = 0
    const time = new ActiveTime(() => now)
    time.enter(1)
    now = 10_000
    time.sign()
    now = 100_000 // went for a coffee at 10 s
    time.sign()
    now = 105_000
    expect(time.seconds(1)).toBe(45) // 10 before, 30 after the last sign, 5 since the next
  })

  it("leaves out a hidden tab, and goes on when the case is opened again", () => {
    let now = 0
    const time = new ActiveTime(() => now)
    time.enter(1, 2.5)
    now = 4000
    time.setVisible(false)
    now = 20_000
    time.setVisible(true)
    now = 21_000
    time.enter(2)
    now = 24_000
    time.enter(1)
    now = 25_000
    expect(time.seconds(1)).toBe(8.5) // 2.5 of an earlier day, 4, 1 and 1
    expect(time.seconds(2)).toBe(3)
    expect(time.seconds(9)).toBe(0)
  })

  it("says how fast it goes once five cases tell something", () => {
    expect(paceText({ seconds_per_case: 6, cases: 4 }, 100)).toBe("")
    expect(paceText({ seconds_per_case: 6, cases: 5 }, 100)).toBe("600 cases/h, 10 min left")
    expect(paceText({ seconds_per_case: 6, cases: 50 }, 0)).toBe("600 cases/h")
    expect(paceText(null, 100)).toBe("")
    expect([duration(40), duration(7800), duration(7200)]).toEqual(["40 s", "2 h 10 min", "2 h"])
  })
})

describe("a number", () => {
  it("is read with a point or a comma, and nothing else passes for one", () => {
    expect([parseNumber("3,2"), parseNumber(" -0.5 "), parseNumber(".5")]).toEqual([3.2, -0.5, 0.5])
    for (const text of ["", "1,234.5", "1e9999", "12 mm", "--1", "Infinity", "0x10"]) expect(parseNumber(text), text).toBeNaN()
  })

  it("outside its range is refused in a sentence", () => {
    const age = { target: "bone age", unit: "months", low: 0, high: 228 }
    expect(faultOf("300", age)).toBe("Bone age is between 0 and 228 months. Received: 300")
    expect(faultOf("-1", { ...age, high: null })).toBe("Bone age is at least 0 months. Received: -1")
    expect(faultOf("9", { ...age, low: null, high: 5, unit: "" })).toBe("Bone age is at most 5. Received: 9")
    expect(faultOf("old", age)).toBe("A number reads like 3.2. Received: old")
    expect(faultOf("228", age)).toBe("")
  })

  it("is typed by place: AZERTY prints & and QWERTZ prints 1 on the same key", () => {
    const press = (text, ...event) => typed(text, keyed(...event))
    expect(press("", "Digit1", "&")).toBe("1")
    expect(press("1", "Digit2", "2")).toBe("12")
    expect(press("12", "Comma", ",")).toBe("12.")
    expect(press("12.", "Period", ".")).toBe("12.")
    expect(press("12.", "NumpadDecimal", ",")).toBe("12.")
    expect(press("", "Numpad7", "7")).toBe("7")
    expect(press("7", "Backspace")).toBe("")
    expect(press("7", "Minus", "-")).toBe("-7")
    expect(press("7", "Digit4", "$", true)).toBe(null) // a window preset
    expect(press("7", "KeyI", "i")).toBe(null)
  })
})

describe("digits", () => {
  it("choose one class each up to nine", () => {
    expect([...chordsOf(classes(3)).values()]).toEqual(["1", "2", "3"])
    const chord = new Chord(classes(3))
    expect(chord.press("2")).toBe("class 2")
    expect(chord.press("0")).toBe("")
    expect(chord.press("9")).toBe(null)
  })

  it("make two-key chords beyond nine classes, the first nine keeping their one key", () => {
    const waits = []
    const chord = new Chord(classes(12), { onWait: (pressed) => waits.push(pressed) })
    expect(chord.press("9")).toBe("class 9")
    expect(chord.press("0")).toBe(null)
    expect(chord.press("3")).toBe("class 12")
    expect(waits).toEqual(["0", ""])
    expect([chord.press("0"), chord.press("0")]).toEqual([null, ""])
    expect([chord.press("0"), chord.press("8"), chord.press("8")]).toEqual([null, null, "class 8"]) // a slip is forgotten
    expect(chordText(chordsOf(classes(12)).get("class 10"))).toBe("0 1")
  })

  it("are two for each of more than eighteen classes, no chord twice", () => {
    const chords = chordsOf(classes(40))
    expect([...chords.values()].slice(0, 10)).toEqual(["11", "12", "13", "14", "15", "16", "17", "18", "19", "21"])
    expect(new Set(chords.values()).size).toBe(40)
    const chord = new Chord(classes(40))
    expect([chord.press("5"), chord.press("4")]).toEqual([null, "class 40"])
    expect(chordsOf(classes(100)).get("class 100")).toBe("")
  })

  it("that were begun are forgotten after a while", () => {
    vi.useFakeTimers()
    const chord = new Chord(classes(12))
    chord.press("0")
    vi.advanceTimersByTime(3000)
    expect(chord.press("3")).toBe("class 3")
    vi.useRealTimers()
  })

  it("of retired classes are free for those without one", () => {
    const offered = classes(10).filter((label) => label.name !== "class 2")
    expect(chordsOf(offered).get("class 10")).toBe("2")
  })
})

describe("the search for a class", () => {
  it("finds the beginning of a name first, then of a word, then anything, whatever the accents", () => {
    const named = ["aorta", "left hip", "hippocampus", "Ödem", "whip"].map((name) => ({ name, key: "" }))
    expect(searchClasses(named, "hip").map((label) => label.name)).toEqual(["hippocampus", "left hip", "whip"])
    expect(searchClasses(named, "od").map((label) => label.name)).toEqual(["Ödem"])
    expect(searchClasses(named, " ")).toHaveLength(5)
    expect(searchClasses(named, "xyz")).toEqual([])
  })
})

describe("a draft", () => {
  const draft = { model: "tiny", model_id: 4, value: { classes: ["effusion", "nodule"] }, scores: { effusion: 0.934, nodule: 0.6 } }

  it("is never asked for before the first answer where readers answer blind", () => {
    expect(mayAsk({ assisted: true, blind_first: true }, false)).toBe(false)
    expect(mayAsk({ assisted: true, blind_first: true }, true)).toBe(true)
    expect(mayAsk({ assisted: true, blind_first: false }, false)).toBe(true)
    expect(mayAsk({ assisted: false, blind_first: false }, true)).toBe(false)
  })

  it("is accepted, edited or rejected, which is told with the answer", () => {
    const told = (value, rejected) => outcomeOf(draft, value, rejected)?.outcome
    expect(told({ classes: ["nodule", "effusion"] })).toBe("accepted")
    expect(told({ classes: ["nodule"] })).toBe("edited")
    expect(told({ classes: ["normal"] })).toBe("rejected")
    expect(told({ classes: ["effusion", "nodule"] }, true)).toBe("rejected")
    expect(outcomeOf({ model_id: 4, value: { value: 3 } }, { value: 3.5 }).outcome).toBe("edited")
    expect(outcomeOf(null, { classes: [] })).toBe(null)
    expect(outcomeOf(draft, null)).toBe(null)
    expect(outcomeOf(draft, { classes: ["nodule"] })).toEqual({ model: 4, outcome: "edited", value: draft.value })
  })

  it("is read with its scores", () => {
    expect(draftText(draft, {})).toBe("effusion 0.93, nodule 0.60")
    expect(draftText({ value: { value: 43.2 } }, { unit: "years" })).toBe("43.2 years")
    expect(draftText({ value: { classes: [] } }, {})).toBe("none of these")
  })
})

describe("undo", () => {
  const act = (caseId, extra = {}) => ({ kind: "label", caseId, before: null, after: null, ...extra })

  it("takes back act by act, and a new act ends what could be repeated", () => {
    const history = new History()
    history.add(act(1))
    history.add(act(2))
    expect(history.undo().caseId).toBe(2)
    expect(history.redo().caseId).toBe(2)
    history.undo()
    history.add(act(3))
    expect(history.redo()).toBe(undefined)
    expect(history.undo().caseId).toBe(3)
    expect(history.undo().caseId).toBe(1)
    expect(history.undo()).toBe(undefined)
  })

  it("survives a reload of the page, and so does redo", async () => {
    const first = new History(await openStore(), "home|anna|1")
    for (const caseId of [1, 2, 3]) first.add(act(caseId))
    first.undo()
    await first.writing
    const second = new History(await openStore(), "home|anna|1")
    await second.load()
    expect(second.redo().caseId).toBe(3)
    expect([second.undo(), second.undo(), second.undo(), second.undo()].map((one) => one?.caseId)).toEqual([3, 2, 1, undefined])
    await second.writing
    const other = new History(await openStore(), "home|ben|1")
    await other.load()
    expect(other.undo()).toBe(undefined)
  })

  it("keeps strokes as they were, byte by byte", async () => {
    const first = new History(await openStore(), "home|anna|1")
    first.add(act(1, { kind: "mask", structure: "liver", before: new Map([[4, new Uint8Array([9])]]), after: new Map([[4, new Uint8Array([2, 3, 4])]]) }))
    await first.writing
    const second = new History(await openStore(), "home|anna|1")
    await second.load()
    const back = second.undo()
    expect([back.structure, [...back.before.get(4)], [...back.after.get(4)]]).toEqual(["liver", [9], [2, 3, 4]])
  })

  it("forgets the oldest beyond its bounds, by number and by weight", async () => {
    const store = await openStore()
    const few = new History(store, "few", { acts: 3 })
    for (const caseId of [1, 2, 3, 4, 5]) few.add(act(caseId))
    await few.writing
    expect((await store.listActs("few")).map((row) => row.act.caseId)).toEqual([3, 4, 5])
    const light = new History(store, "light", { bytes: 3000 })
    const heavy = { before: new Map([[0, new Uint8Array(1000)]]), after: new Map() }
    for (const caseId of [1, 2, 3, 4]) light.add(act(caseId, heavy))
    await light.writing
    expect((await store.listActs("light")).map((row) => row.act.caseId)).toEqual([3, 4])
  })

  it("works without a database too", () => {
    globalThis.indexedDB = undefined
    const history = new History(null, "")
    history.add(act(1))
    expect(history.undo().caseId).toBe(1)
  })
})
