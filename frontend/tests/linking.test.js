import { describe, expect, it } from "vitest"

import { caseOf, choicesOf } from "../src/compare.js"
import { freshView } from "../src/geometry.js"
import { Link, linkedIndex, linkedView, shareWindow } from "../src/linking.js"

describe("what moves together", () => {
  const anchor = { from: 10, to: 4 }

  it("goes as far on in millimetres", () => {
    expect(linkedIndex(15, anchor, { slice_spacing_mm: 5 }, { slice_spacing_mm: 2.5 })).toBe(14)
    expect(linkedIndex(5, anchor, { slice_spacing_mm: 1 }, { slice_spacing_mm: 2 })).toBe(2)
  })

  it("goes frame by frame where a spacing is unknown", () => {
    expect(linkedIndex(15, anchor, { slice_spacing_mm: 5 }, {})).toBe(9)
    expect(linkedIndex(15, { from: 4, to: 10 }, {}, {})).toBe(21)
  })

  it("is as near and at the same place in a pane of another size, flipped as it was", () => {
    const view = { ...freshView(), zoom: 3, panX: 40, panY: -10, turns: 1 }
    expect(linkedView(view, { width: 400, height: 200 }, { ...freshView(), flipX: true }, { width: 200, height: 200 })).toEqual({
      ...freshView(), flipX: true, zoom: 3, panX: 20, panY: -10,
    })
  })

  it("has one window only where the values mean the same", () => {
    expect(shareWindow({ modality: "CT" }, { modality: "CT" })).toBe(true)
    expect(shareWindow({ modality: "CT" }, { modality: "MR" })).toBe(false)
    expect(shareWindow({ channels: 1 }, { channels: 3 })).toBe(false)
  })
})

/** What `Link` needs of a pane. */
function pane(index, facts = {}) {
  const listeners = {}
  const made = {
    facts, index, view: freshView(), window: { centre: 1, width: 2 },
    size: () => ({ width: 100, height: 100 }),
    on: (name, listener) => {
      listeners[name] = listener
      return () => delete listeners[name]
    },
    setIndex(to) {
      made.index = to
      listeners.frame?.()
    },
    setView(view) {
      made.view = view
      listeners.view?.()
    },
    get look() {
      return { window: made.window }
    },
    lookAs({ window }) {
      made.window = window
      listeners.window?.()
    },
  }
  return made
}

describe("two panes", () => {
  it("follow each other both ways, and not themselves", () => {
    const [one, other] = [pane(3), pane(7)]
    const link = new Link(one, other)
    link.anchor()
    one.setIndex(5)
    expect(other.index).toBe(9)
    other.setIndex(6)
    expect(one.index).toBe(2)
    other.setView({ ...freshView(), zoom: 2 })
    expect(one.view.zoom).toBe(2)
    one.lookAs({ window: { centre: 40, width: 400 } })
    expect(other.window).toEqual({ centre: 40, width: 400 })
  })

  it("go on from where they are when they are linked anew", () => {
    const [one, other] = [pane(0), pane(0)]
    const link = new Link(one, other)
    link.anchor()
    link.setOn(false)
    one.setIndex(8)
    expect(other.index).toBe(0)
    link.setOn(true)
    one.setIndex(9)
    expect(other.index).toBe(1)
    link.close()
    one.setIndex(0)
    expect(other.index).toBe(1)
  })
})

describe("what can be compared with", () => {
  const facts = { id: 5, frames: 3, same_patient: [2, 9] }

  it("is the patient's other cases, another frame, and the neighbours in the list", () => {
    expect(choicesOf(facts, [4, 5, 6]).map(([value]) => value)).toEqual(["case 2", "case 9", "frame", "previous", "next"])
    expect(choicesOf({ id: 5 }, [5]).map(([value]) => value)).toEqual([])
    expect(choicesOf({ id: 5 }, [1, 2]).map(([value]) => value)).toEqual([])
  })

  it("leads to a case", () => {
    expect(["frame", "previous", "next", "case 12", ""].map((value) => caseOf(value, facts, [4, 5, 6]))).toEqual([5, 4, 6, 12, undefined])
  })
})
