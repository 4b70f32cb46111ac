import { afterEach, describe, expect, it, vi } from "vitest"

import { Marks } from "../src/marks/marks.js"
import { isOnScreen, placeText, textOf } from "../src/marks/painter.js"

const project = { classes: [{ name: "nodule", key: "1", colour: "#56b4e9" }, { name: "effusion", key: "2", colour: "#e69f00" }, { name: "old", key: "", colour: "#bbbbbb", retired: true }] }
const film = { id: 7, frames: 1, rows: 80, columns: 100, spacing_mm: [0.5, 0.25] }
const stack = { ...film, id: 8, frames: 4 }
const quiet = () => ({ show() {}, showTools() {} })

/** Panes as marks see them: four canvas pixels for one of the image. */
function makePane(facts) {
  const listeners = new Map()
  const pane = {
    facts, plane: "frame", index: 0, matrix: [4, 0, 0, 4, 0, 0], over: { style: {} }, drag: null, volume: { at: () => null },
    on: (name, listener) => (listeners.set(name, listener), () => listeners.delete(name)),
    tell: (name) => listeners.get(name)?.(pane),
    toCanvas: (x, y) => [4 * x, 4 * y],
    toImage: (x, y) => [x / 4, y / 4],
    setFrame(frame) {
      pane.index = frame
      pane.layout.tell("frame", pane)
    },
    at: (x, y) => ({ x, y, plane: pane.plane, index: pane.index, frame: pane.index, canvas: [4 * x, 4 * y], pane }),
  }
  return pane
}

function setUp({ facts = film, list = [], options } = {}) {
  const told = { acts: [], remarks: [], faults: [], tools: [] }
  const marks = new Marks(project, {
    onChange: (act) => told.acts.push(act), onSay: (text) => told.remarks.push(text), onFault: (text) => told.faults.push(text), onTool: (kind) => told.tools.push(kind),
  }, { makePanel: quiet, ...options })
  const pane = makePane(facts)
  const listeners = new Map()
  const layout = {
    painters: [], grabs: [], clicks: [], main: pane, panes: [pane], tool: null,
    on: (name, listener) => (listeners.set(name, listener), () => {}),
    tell: (name, one) => listeners.get(name)?.(one),
    setTool(tool) {
      layout.tool = tool
      pane.tell("tool")
    },
    repaintOver() {},
  }
  pane.layout = layout
  marks.attach(layout)
  marks.load(facts, list)
  return { marks, pane, layout, told }
}

let clock = 0
const event = (extra = {}) => ({ button: 0, altKey: false, pointerType: "mouse", timeStamp: (clock += 1000), ...extra })
const key = (code, extra = {}) => ({ code, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, repeat: false, ...extra })

/** As a pane does it: who takes hold comes before the tool. */
function press(pane, x, y, extra) {
  const { layout } = pane
  const place = pane.at(x, y)
  const tool = layout.grabs.map((grab) => grab(place, event(extra))).find(Boolean) ?? layout.tool
  if (!tool) return layout.clicks.some((click) => click(place))
  tool.down(place, event(extra))
  return tool
}

function drag(pane, ...points) {
  const tool = press(pane, ...points[0])
  for (const point of points.slice(1)) tool.move(pane.at(...point), event())
  tool.up(pane.at(...points.at(-1)), event())
}

function click(pane, x, y, extra) {
  const tool = press(pane, x, y, extra)
  tool.up?.(pane.at(x, y), event(extra))
}

const box = { mark: "b", kind: "box", frame: 0, geometry: { x: 10, y: 10, width: 40, height: 30 }, label: "nodule" }
const polygon = { mark: "p", kind: "polygon", frame: 0, geometry: { points: [[10, 10], [60, 10], [60, 50], [10, 50]] }, label: "" }

describe("drawing", () => {
  it("makes a box from corner to corner, chosen, one act", () => {
    const { marks, pane, told } = setUp()
    marks.choose("box")
    drag(pane, [10, 20], [20, 30], [40, 60])
    expect(told.acts).toEqual([{ case: 7, before: null, after: { mark: marks.selected.mark, kind: "box", frame: 0, geometry: { x: 10, y: 20, width: 30, height: 40 }, label: "" } }])
    expect(marks.list()).toHaveLength(1)
    expect(told.tools).toEqual(["box"]) // it stays in the hand for the next one
  })

  it("makes nothing of a slip of the hand", () => {
    const { marks, pane, told } = setUp()
    marks.choose("ellipse")
    drag(pane, [10, 20], [10.5, 20.5])
    marks.choose("freehand")
    drag(pane, [10, 20], [10.2, 20])
    marks.choose("length")
    click(pane, 10, 20)
    click(pane, 10, 20)
    expect(told.acts).toEqual([])
  })

  it("makes a polygon by clicks, closed by Enter, a double click or its first corner; Backspace takes a corner back", () => {
    const { marks, pane, told } = setUp()
    marks.choose("polygon")
    for (const point of [[10, 10], [50, 10], [70, 70], [50, 40]]) click(pane, ...point)
    expect(marks.key(key("Backspace"))).toBe(true)
    click(pane, 50, 50)
    expect(marks.draft.geometry.points).toHaveLength(4)
    expect(marks.key(key("Enter"))).toBe(true)
    expect(told.acts[0].after.geometry.points).toEqual([[10, 10], [50, 10], [70, 70], [50, 50]])
    marks.select("")
    for (const point of [[20, 60], [40, 60]]) click(pane, ...point)
    click(pane, 30, 75, { timeStamp: 5e6 })
    click(pane, 30, 75, { timeStamp: 5e6 + 200 })
    expect(told.acts[1].after.geometry.points).toEqual([[20, 60], [40, 60], [30, 75]])
    marks.select("")
    for (const point of [[80, 10], [90, 10], [90, 20], [80.5, 10]]) click(pane, ...point)
    expect(told.acts[2].after.geometry.points).toEqual([[80, 10], [90, 10], [90, 20]])
    expect(marks.isOpen).toBe(false)
    expect(marks.key(key("Enter"))).toBe(false) // Enter is the page's again
  })

  it("says what a polygon still needs", () => {
    const { marks, pane, told } = setUp()
    marks.choose("polygon")
    click(pane, 10, 10)
    click(pane, 50, 10)
    marks.key(key("Enter"))
    expect(told.remarks).toEqual(["A polygon has at least three corners."])
    for (let step = 0; step < 2; step++) marks.key(key("Backspace"))
    expect(marks.isOpen).toBe(false)
  })

  it("makes a length by a drag or by two clicks, and an angle with its second arm", () => {
    const { marks, pane, told } = setUp()
    marks.choose("length")
    drag(pane, [10, 10], [30, 10], [50, 40])
    marks.select("")
    click(pane, 60, 60)
    click(pane, 80, 60)
    marks.choose("angle")
    marks.select("")
    drag(pane, [10, 70], [20, 70], [30, 70])
    click(pane, 30, 50)
    expect(told.acts.map(({ after }) => [after.kind, after.geometry.points])).toEqual([
      ["length", [[10, 10], [50, 40]]], ["length", [[60, 60], [80, 60]]], ["angle", [[10, 70], [30, 70], [30, 50]]],
    ])
  })

  it("follows the hand and closes by itself, and a point may be moved until it is let go", () => {
    const { marks, pane, told } = setUp()
    marks.choose("freehand")
    drag(pane, [10, 10], [30, 10], [50, 10], [50, 30], [50, 50], [10, 50])
    marks.choose("point")
    marks.select("")
    drag(pane, [70, 70], [75, 72])
    expect(told.acts.map(({ after }) => after.geometry)).toEqual([{ points: [[10, 10], [50, 10], [50, 50], [10, 50]] }, { x: 75, y: 72 }])
  })

  it("stays inside the image when the pointer leaves it", () => {
    const { marks, pane, told } = setUp()
    marks.choose("box")
    drag(pane, [90, 70], [120, 200])
    expect(told.acts[0].after.geometry).toEqual({ x: 90, y: 70, width: 10, height: 10 })
  })

  it("is for stored frames: elsewhere nothing is drawn, nor is the window changed", () => {
    const { marks, pane, told } = setUp({ facts: stack })
    marks.choose("box")
    pane.plane = "row"
    expect(press(pane, 10, 10).down(pane.at(10, 10), event())).toBe(true)
    expect(told.remarks[0]).toBe("Marks are drawn on the frames as they are stored, not across them.")
  })

  it("is given up by Esc, then what is chosen, then the tool", () => {
    const { marks, pane, layout } = setUp({ list: [box] })
    marks.choose("polygon")
    marks.select("b")
    click(pane, 70, 70)
    expect([marks.escape(), marks.isOpen, marks.chosen]).toEqual([true, false, "b"])
    expect([marks.escape(), marks.chosen, layout.tool?.name]).toEqual([true, "", "polygon"])
    expect([marks.escape(), layout.tool]).toEqual([true, null])
    expect(marks.escape()).toBe(false)
  })

  it("of a polygon is not lost when the reader goes on without closing it", () => {
    const { marks, pane, told } = setUp()
    marks.choose("polygon")
    for (const point of [[10, 10], [50, 10], [50, 50]]) click(pane, ...point)
    marks.leave()
    expect(told.acts[0]).toMatchObject({ case: 7, after: { kind: "polygon", geometry: { points: [[10, 10], [50, 10], [50, 50]] } } })
  })

  it("keeps a polygon when two fingers zoom in the middle of it, and on another frame says where it is", () => {
    const { marks, pane, told } = setUp({ facts: stack })
    marks.choose("polygon")
    click(pane, 10, 10)
    click(pane, 50, 10)
    press(pane, 60, 60).cancel()
    expect(marks.tool("polygon").points).toEqual([[10, 10], [50, 10]])
    pane.setFrame(2)
    click(pane, 60, 60)
    expect(told.remarks).toEqual(["The polygon under way is on frame 1. Go back there, or press Esc to give it up."])
  })

  it("lays the tool down when another part of the page takes one", () => {
    const { marks, layout } = setUp()
    marks.choose("box")
    layout.setTool({ name: "brush" })
    expect(marks.kind).toBe(null)
  })
})

describe("editing", () => {
  it("moves a mark by its line, in one act, and back by Esc", () => {
    const { marks, pane, told } = setUp({ list: [box] })
    drag(pane, [30, 10], [33, 12], [35, 15])
    expect(told.acts).toEqual([{ case: 7, before: box, after: { ...box, geometry: { x: 15, y: 15, width: 40, height: 30 } } }])
    const tool = press(pane, 30, 15)
    tool.move(pane.at(60, 60), event())
    pane.drag = { tool, cancel: () => tool.cancel() }
    expect(marks.escape()).toBe(true)
    expect([told.acts.length, marks.previewed]).toEqual([1, null])
  })

  it("pulls at the handles of what is chosen; its inside moves it, the inside of others is the window's", () => {
    const { marks, pane, told } = setUp({ list: [box] })
    expect(press(pane, 30, 25)).toBe(true) // a click chooses it
    expect(marks.chosen).toBe("b")
    drag(pane, [50, 40], [60, 50])
    drag(pane, [30, 25], [31, 26])
    expect(told.acts.map(({ after }) => after.geometry)).toEqual([{ x: 10, y: 10, width: 50, height: 40 }, { x: 11, y: 11, width: 50, height: 40 }])
    marks.select("")
    expect(marks.toolAt(pane.at(30, 25))).toBe(null)
  })

  it("adds a corner at the middle of a side and takes one away by Alt and a click, or Backspace", () => {
    const { marks, pane, told } = setUp({ list: [polygon] })
    marks.select("p")
    drag(pane, [35, 10], [35, 4])
    expect(told.acts[0].after.geometry.points).toEqual([[10, 10], [35, 4], [60, 10], [60, 50], [10, 50]])
    click(pane, 35, 4, { altKey: true })
    expect(told.acts[1].after.geometry).toEqual(polygon.geometry)
    click(pane, 60, 50)
    expect(marks.key(key("Backspace"))).toBe(true)
    expect(told.acts[2].after.geometry.points).toEqual([[10, 10], [60, 10], [10, 50]])
    expect(marks.key(key("Backspace"))).toBe(false)
    click(pane, 60, 10, { altKey: true })
    expect(told.remarks).toEqual(["An outline has at least three corners."])
  })

  it("with a tool in the hand begins the next shape anywhere but at the handles of what is chosen", () => {
    const { marks, pane, told } = setUp({ list: [box] })
    marks.choose("box")
    drag(pane, [20, 20], [30, 30]) // inside the first
    drag(pane, [30, 30], [35, 33]) // a corner of the second, which is chosen
    expect(told.acts.map(({ before, after }) => [before?.geometry.width, after.geometry.width])).toEqual([[undefined, 10], [10, 15]])
    marks.select("b")
    marks.key(key("Digit0"))
    click(pane, 90, 70)
    expect(marks.chosen).toBe("")
  })

  it("leaves marks alone while a brush is in the hand", () => {
    const { marks, pane, layout } = setUp({ list: [box] })
    layout.setTool({ name: "brush" })
    expect(marks.toolAt(pane.at(30, 10))).toBe(null)
  })

  it("deletes what is chosen, and tells what to choose", () => {
    const { marks, told } = setUp({ list: [box] })
    expect(marks.command("delete")).toBe(true)
    expect(told.remarks).toEqual(["Choose the mark to delete: click on its line."])
    marks.select("b")
    marks.command("delete")
    expect(told.acts).toEqual([{ case: 7, before: box, after: null }])
    expect([marks.list(), marks.selected]).toEqual([[], null])
  })
})

describe("a class", () => {
  it("is given to the chosen mark by a digit, taken away by 0, and goes on to the next mark of the case", () => {
    const { marks, pane, told } = setUp({ list: [polygon] })
    expect(marks.key(key("Digit2"))).toBe(false) // nothing is chosen: the digit answers the case
    marks.select("p")
    expect(marks.key(key("Digit2"))).toBe(true)
    expect(told.acts[0]).toEqual({ case: 7, before: polygon, after: { ...polygon, label: "effusion" } })
    marks.choose("point")
    marks.select("")
    click(pane, 90, 70)
    expect(told.acts[1].after.label).toBe("effusion")
    marks.key(key("Digit0"))
    expect(told.acts[2].after.label).toBe("")
    expect(marks.key(key("Digit1", { shiftKey: true }))).toBe(false) // a window
    marks.load({ ...film, id: 9 }, [])
    expect(marks.nextLabel).toBe("")
  })

  it("does not go on to what only measures", () => {
    const { marks, told } = setUp({ list: [polygon] })
    marks.select("p")
    marks.key(key("Digit2"))
    for (const kind of ["length", "angle", "point"]) marks.add({ kind, frame: 0, geometry: {} })
    expect(told.acts.slice(1).map(({ after }) => [after.kind, after.label])).toEqual([["length", ""], ["angle", ""], ["point", "effusion"]])
  })

  it("that is retired stays on its mark but is not copied", () => {
    const { marks, told } = setUp({ facts: stack, list: [{ ...box, label: "old" }] })
    marks.select("b")
    marks.copyToNext()
    expect(told.acts[0].after).toMatchObject({ frame: 1, label: "", geometry: box.geometry })
  })
})

describe("frames", () => {
  it("have their own marks; what is not on the screen is not chosen", () => {
    const { marks, pane, told } = setUp({ facts: stack, list: [box, { ...polygon, frame: 3 }] })
    expect([marks.visibleOn(0).length, marks.visibleOn(1).length, marks.visibleOn(3).length]).toEqual([1, 0, 1])
    marks.select("b")
    pane.setFrame(1)
    expect(marks.selected).toBe(null)
    marks.command("nextMark")
    expect([marks.chosen, pane.index]).toEqual(["b", 0])
    marks.command("nextMark")
    expect([marks.chosen, pane.index]).toEqual(["p", 3])
    marks.command("copyToNext")
    expect(told.remarks).toEqual(["This is the last frame."])
  })

  it("get a copy of the chosen mark, which is then chosen there", () => {
    const { marks, pane, told } = setUp({ facts: stack, list: [box] })
    marks.select("b")
    marks.command("copyToNext")
    expect([pane.index, marks.selected.frame, marks.selected.mark === "b", marks.list().length]).toEqual([1, 1, false, 2])
    expect(told.acts).toHaveLength(1)
  })
})

describe("marks", () => {
  afterEach(() => vi.unstubAllGlobals())

  it("are hidden all at once, and shown again by drawing", () => {
    const { marks, pane } = setUp({ list: [box] })
    marks.setHidden(true)
    expect([marks.visibleOn(0), marks.toolAt(pane.at(30, 10)), marks.clickAt(pane.at(30, 10))]).toEqual([[], null, false])
    marks.choose("point")
    click(pane, 90, 70)
    expect(marks.visibleOn(0)).toHaveLength(2)
  })

  it("of another reader are looked at only, where the server gives them", async () => {
    const { marks, pane, told } = setUp()
    marks.learnOthers([{ reader: "ben", marks: 1, masks: [] }, { reader: "eva", marks: 0, masks: [] }])
    expect(marks.others).toHaveLength(1)
    const fetch = vi.fn(async () => new Response(JSON.stringify({ marks: [{ ...box, reader: "ben" }] })))
    vi.stubGlobal("fetch", fetch)
    await marks.toggleReader("ben")
    expect(fetch.mock.calls[0][0]).toBe("/api/v1/cases/7/marks?reader=ben")
    drag(pane, [30, 10], [40, 20])
    expect([marks.selected.theirs, told.acts]).toEqual(["ben", []])
    marks.command("delete")
    marks.key(key("Digit2"))
    expect([marks.visibleOn(0).length, told.acts, told.remarks]).toEqual([1, [], ["This mark is ben's; it can only be looked at."]])
    expect(textOf(marks.selected, false, pane)[0]).toBe("ben: nodule")
    await marks.toggleReader("ben")
    expect([marks.visibleOn(0), marks.selected]).toEqual([[], null])
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ reason: "Answer this case first." }), { status: 403 }))
    await marks.toggleReader("ben")
    expect(told.faults[0]).toMatch(/^The marks of ben cannot be shown: /)
  })

  it("in review can be looked at, not drawn", () => {
    const { marks, pane, told } = setUp({ list: [box], options: { editable: false } })
    expect(marks.command("box")).toBe(false)
    drag(pane, [30, 10], [40, 20])
    marks.remove("b")
    expect([told.acts, marks.chosen]).toEqual([[], "b"])
  })

  it("that change elsewhere in the middle of a drag do not undo the drag", () => {
    const { marks, pane, told } = setUp({ list: [box] })
    const tool = press(pane, 30, 10)
    tool.move(pane.at(40, 20), event())
    marks.load(film, [{ ...box }, polygon])
    tool.up(pane.at(40, 20), event())
    expect(told.acts[0].after.geometry).toEqual({ x: 20, y: 20, width: 40, height: 30 })
    expect(marks.list()).toHaveLength(2)
  })
})

describe("text beside a mark", () => {
  const plate = { width: 60, height: 20 }
  const canvas = { width: 400, height: 300 }

  it("lies below it, and goes elsewhere where that is off the screen or covers other text", () => {
    const at = (line, taken = []) => placeText(line, plate, canvas, taken, 5)
    expect(at([[100, 100], [200, 150]])).toEqual({ x: 100, y: 155 })
    expect(at([[100, 100], [200, 290]])).toEqual({ x: 100, y: 75 })
    expect(at([[100, 5], [200, 290]])).toEqual({ x: 205, y: 5 })
    expect(at([[100, 100], [200, 150]], [{ x: 90, y: 150, width: 60, height: 20 }])).toEqual({ x: 100, y: 75 })
  })

  it("is left out of what is not on the screen", () => {
    expect(isOnScreen([[-50, -50], [500, 400]], canvas)).toBe(true) // all around it
    expect(isOnScreen([[-50, 10], [-1, 40]], canvas)).toBe(false)
    expect(isOnScreen([[10, 310], [30, 340]], canvas)).toBe(false)
  })

  it("is on the screen whatever the mark is", () => {
    for (const line of [[[-50, -50], [500, 400]], [[390, 290], [399, 299]], [[-900, 20], [-800, 30]]]) {
      const { x, y } = placeText(line, plate, canvas, [], 5)
      expect(x >= 0 && y >= 0 && x + 60 <= 400 && y + 20 <= 300).toBe(true)
    }
  })
})
