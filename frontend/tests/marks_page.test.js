// Marks between the page's parts: what is said of them, taken back, and what number follows.

import { describe, expect, it } from "vitest"

import { Drawing } from "../src/drawing.js"
import { History } from "../src/history.js"
import { Recorder } from "../src/recorder.js"
import { Said } from "../src/said.js"

const facts = { id: 4, frames: 1, rows: 80, columns: 100, spacing_mm: [0.8, 0.4], marks: [], my_label: null }
const line = (x) => ({ kind: "length", frame: 0, geometry: { points: [[0, 10], [x, 10]] } })

/** A page without a screen: elements that take everything and show nothing. */
function blank() {
  const made = { style: { setProperty() {} }, dataset: {}, append() {}, setAttribute() {}, addEventListener() {}, replaceChildren() {}, getRootNode: () => ({}), querySelector: () => null }
  return made
}
globalThis.document = { createElement: blank, createElementNS: blank }

function setUp(project = { task: "regression", measure: "length", unit: "mm", classes: [], structures: [] }, here = facts, checking = {}) {
  const sent = []
  const numbers = []
  const remarks = []
  const said = new Said()
  const recorder = new Recorder({
    said, history: new History(), time: { seconds: () => 1 }, send: (event) => sent.push(event), facts: () => here, madeIn: "label page", version: () => 3,
  })
  const pane = { on: () => () => {}, volume: null }
  const layout = { painters: [], grabs: [], clicks: [], panes: [], main: pane, on: () => () => {}, setTool() {}, repaintOver() {}, setLayers() {} }
  const drawing = new Drawing(project, { mode: "label", layout, said, recorder, say: (text) => remarks.push(text), onChanged() {}, onMeasured: (value) => numbers.push(value), ...checking })
  drawing.open(here)
  const retrace = (way) => drawing.retrace(recorder[way](), way === "undo" ? "before" : "after")
  return { drawing, marks: drawing.marks, said, recorder, sent, numbers, remarks, retrace }
}

describe("a mark", () => {
  it("is an event when it is drawn, changed and taken away, and when that is taken back", () => {
    const { marks, sent, retrace } = setUp()
    const { mark } = marks.add(line(25))
    marks.change(mark, { geometry: line(50).geometry })
    marks.remove(mark)
    retrace("undo")
    expect(marks.list().map((one) => one.geometry.points[1][0])).toEqual([50])
    retrace("undo")
    expect(marks.list().map((one) => one.geometry.points[1][0])).toEqual([25])
    retrace("undo")
    expect(marks.list()).toEqual([])
    retrace("redo")
    expect(marks.list().map((one) => one.geometry.points[1][0])).toEqual([25])
    expect(sent.map((event) => [event.deleted, event.geometry.points[1][0]])).toEqual([
      [false, 25], [false, 50], [true, 50], [false, 50], [false, 25], [true, 25], [false, 25],
    ])
    expect(sent[0]).toMatchObject({ type: "mark", case: 4, mark, kind: "length", frame: 0, label: "", schema_version: 3 })
    expect(new Set(sent.map((event) => event.event)).size).toBe(7)
  })

  it("from another tab, or that the server tells newly, is shown; one that it refused is not", () => {
    const { drawing, marks, said } = setUp()
    const event = { type: "mark", event: "e", case: 4, mark: "m", ...line(25), label: "", deleted: false, made_at: "2026-01-01T00:00:00Z" }
    said.keep(event)
    drawing.hear(event)
    expect(marks.list()).toHaveLength(1)
    said.refused(event)
    drawing.reload()
    expect(marks.list()).toHaveLength(0)
    Object.assign(drawing.facts, { marks: [{ mark: "s", ...line(10), label: "", made_at: "2026-01-02T00:00:00Z" }] })
    drawing.learn(drawing.facts)
    expect(marks.list()).toHaveLength(1)
    facts.marks = []
  })
})

describe("a number that is measured", () => {
  it("follows the mark that was drawn, changed or chosen last, and goes when the last one goes", () => {
    const { marks, numbers } = setUp()
    const first = marks.add(line(25))
    marks.add(line(50))
    marks.change(first.mark, { geometry: line(75).geometry })
    marks.remove(first.mark)
    marks.remove(marks.list()[0].mark)
    const [rounded] = [numbers.map((value) => value && +value.toFixed(6))]
    expect(rounded.at(0)).toBe(10)
    expect(rounded).toContain(30)
    expect(rounded.at(-2)).toBe(20)
    expect(rounded.at(-1)).toBe(null)
  })

  it("does not come back by itself where the answer was taken back, but when its mark is chosen", () => {
    const { marks, numbers } = setUp(undefined, { ...facts, marks: [{ mark: "s", ...line(25), label: "", made_at: "2026-01-02T00:00:00Z" }] })
    expect(numbers).toEqual([])
    marks.select("s")
    expect(numbers).toEqual([10])
  })

  it("is none of an image without a scale, and the reader is told", () => {
    const { marks, numbers, remarks } = setUp(undefined, { ...facts, spacing_mm: null })
    marks.add(line(25))
    expect(numbers.at(-1)).toBe(null)
    expect(remarks[0]).toBe("This image does not say how large its pixels are, so nothing can be measured in mm. Type the number.")
  })

  it("is not touched by marks of another kind, nor in a project that asks for none", () => {
    const one = setUp()
    one.marks.add({ kind: "point", frame: 0, geometry: { x: 1, y: 1 } })
    expect(one.numbers).toEqual([])
    const other = setUp({ task: "classification", classes: [{ name: "nodule", key: "1", colour: "#fff" }], structures: [] })
    other.marks.add(line(25))
    expect(other.numbers).toEqual([])
  })
})

describe("in a check of pixels", () => {
  const box = { x: 1, y: 2, width: 3, height: 4 }
  const given = [{ mark: "given-0", kind: "box", frame: 0, geometry: box, label: "" }]
  const checking = { mode: "check", given }

  it("the boxes are those of the check, on every frame, and nobody's marks", () => {
    const { drawing, marks } = setUp(undefined, { ...facts, marks: [{ mark: "mine", ...line(25), label: "", made_at: "2026-01-01T00:00:00Z" }] }, checking)
    expect(marks.list().map((one) => one.geometry)).toEqual([box])
    expect(marks.visibleOn(7).map((one) => one.mark)).toEqual(["given-0"])
    expect(marks.kind).toBe("box")
    expect([...marks.tools.keys()]).toEqual(["box"])
    drawing.learn({ ...facts, others: [{ reader: "otto", marks: 2, masks: [] }] })
    expect(marks.others).toEqual([])
  })

  it("what is drawn, taken away and taken back counts at once", () => {
    const { drawing, marks, retrace } = setUp(undefined, facts, checking)
    marks.add({ kind: "box", frame: 0, geometry: { x: 0, y: 0, width: 9, height: 9 } })
    marks.remove("given-0")
    expect(drawing.marksOf(facts).map((one) => one.geometry.width)).toEqual([9])
    retrace("undo")
    expect(drawing.marksOf(facts).map((one) => one.geometry.width)).toEqual([3, 9])
  })
})
