import { describe, expect, it } from "vitest"

import { KEYS, KeyMap, chordOf, commandOf, isTaken, nameOfChord } from "../src/keys.js"
import { Legend } from "../src/legend.js"

const press = (code, extra = {}) => ({ code, key: extra.key ?? "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...extra })
const shelf = (kept = {}) => ({
  kept,
  getItem: (name) => kept[name] ?? null,
  setItem: (name, text) => (kept[name] = text),
  removeItem: (name) => delete kept[name],
})

describe("keys", () => {
  it("with Shift and a digit choose a window, by the place of the digit", () => {
    expect(commandOf(press("Digit1", { key: "!", shiftKey: true }), "label")).toEqual({ command: "preset", digit: "1" })
    expect(commandOf(press("Digit1", { key: "1", shiftKey: true }), "review")).toEqual({ command: "preset", digit: "1" }) // AZERTY
  })

  it("up and down go from frame to frame, the wheel's keys by ten", () => {
    expect(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"].map((code) => commandOf(press(code), "label").command)).toEqual([
      "frameBefore", "frameAfter", "framesBefore", "framesAfter", "firstFrame", "lastFrame",
    ])
  })

  it("are given once to a command, and each command has one", () => {
    expect(new Set(KEYS.map(([chord]) => chord)).size).toBe(KEYS.length)
    expect(new Set(KEYS.map(([, , command]) => command)).size).toBe(KEYS.length)
  })

  it("leave F to the review page, which flags with it", () => {
    expect(commandOf(press("KeyF"), "review")).toBe(null)
  })

  it("of drawing are not there in review", () => {
    expect(commandOf(press("KeyB"), "review")).toBe(null)
    expect(commandOf(press("KeyB"), "label").command).toBe("brush")
  })

  it("give no answer in a check of pixels, where boxes are drawn and the image is looked at", () => {
    for (const code of ["Digit1", "KeyU", "KeyQ", "KeyN", "Enter", "ArrowRight", "KeyP", "KeyB", "KeyG"]) expect(commandOf(press(code), "check")).toBe(null)
    expect(["KeyX", "Delete", "Escape", "KeyI", "ArrowDown"].map((code) => commandOf(press(code), "check").command)).toEqual(["box", "delete", "escape", "invert", "frameAfter"])
    const listed = [...Legend.prototype.groups.call({ mode: "check", project: { task: "classification", classes: [] } }).values()].flat()
    expect(listed.map(([, , command]) => command)).toContain("box")
    for (const command of ["unsure", "confirm", "polygon", "explain"]) expect(listed.map(([, , name]) => name)).not.toContain(command)
  })

  it("that do nothing in a project are not in its legend", () => {
    const listed = (project) => [...Legend.prototype.groups.call({ mode: "label", project }).values()].flat().map(([, , command]) => command)
    const few = listed({ task: "classification", classes: [{ name: "normal" }] })
    for (const command of ["brush", "search", "acceptDraft"]) expect(few).not.toContain(command)
    const classes = Array.from({ length: 12 }, (_, at) => ({ name: `finding ${at}` }))
    for (const command of ["search", "acceptDraft"]) expect(listed({ task: "classification", classes, assisted: true })).toContain(command)
    expect(listed({ task: "segmentation", classes: [] })).toContain("brush")
  })

  it("of a slider or a field stay with it", () => {
    const target = (...known) => ({ matches: (selector) => known.some((one) => selector.includes(one)), closest: () => null })
    expect(isTaken(press("ArrowUp"), target('[role="slider"]'))).toBe(true)
    expect(isTaken(press("KeyI"), target('[role="slider"]'))).toBe(false)
    expect(isTaken(press("KeyI"), target("textarea"))).toBe(true)
  })
})

describe("changed keys", () => {
  it("hold for the next page in this browser", () => {
    const storage = shelf()
    expect(new KeyMap(storage).give("invert", "Shift+KeyI")).toBe("")
    const next = new KeyMap(storage)
    expect(next.find("Shift+KeyI", "label")).toBe("invert")
    expect(next.find("KeyI", "label")).toBe(null)
    expect(commandOf(press("KeyI", { shiftKey: true }), "label", next)).toEqual({ command: "invert" })
    expect(next.isChanged("invert")).toBe(true)
  })

  it("change places with the command that had the key, and say so", () => {
    const map = new KeyMap(shelf())
    expect(map.give("invert", "KeyO")).toBe("“One image pixel for one of the screen” had this key; it has I now.")
    expect([map.find("KeyO", "label"), map.find("KeyI", "label")]).toEqual(["invert", "actual"])
  })

  it("never take a digit, a modifier or Tab", () => {
    const map = new KeyMap(shelf())
    for (const chord of ["Digit3", "Shift+Digit3", "Numpad1", "ShiftLeft", "Tab", "F5"]) {
      expect(map.give("invert", chord)).toContain("cannot be given away")
    }
    expect(map.find("KeyI", "label")).toBe("invert")
  })

  it("go back to what was delivered", () => {
    const storage = shelf()
    const map = new KeyMap(storage)
    map.give("invert", "KeyF")
    map.reset()
    expect(map.find("KeyI", "label")).toBe("invert")
    expect(storage.kept).toEqual({})
  })

  it("that make no sense any more are forgotten, and a storage that refuses does no harm", () => {
    expect(new KeyMap(shelf({ "readroom-keys": "not json" })).find("KeyI", "label")).toBe("invert")
    expect(new KeyMap(shelf({ "readroom-keys": '[["gone", "KeyI"]]' })).find("KeyI", "label")).toBe("invert")
    expect(new KeyMap(shelf({ "readroom-keys": '[["flipX", "KeyI"]]' })).find("KeyI", "label")).toBe("invert") // two on one key
    const full = { getItem: () => null, setItem: () => { throw new Error("full") }, removeItem() {} }
    const map = new KeyMap(full)
    map.give("invert", "Shift+KeyI")
    expect(map.find("Shift+KeyI", "label")).toBe("invert")
    expect(new KeyMap(null).find("KeyI", "label")).toBe("invert")
  })

  it("are called as this keyboard prints them", () => {
    const azerty = new Map([["KeyQ", "a"], ["Comma", ";"]])
    expect(nameOfChord("KeyQ")).toBe("Q")
    expect(nameOfChord("KeyQ", azerty)).toBe("A")
    expect(nameOfChord("Shift+Comma", azerty)).toBe("Shift ;")
    expect(nameOfChord("ArrowUp", azerty)).toBe("↑")
    expect(chordOf(press("KeyL", { shiftKey: true }))).toBe("Shift+KeyL")
  })
})
