import { describe, expect, it } from "vitest"

import { freshView, turned, viewMatrix } from "../src/geometry.js"
import { affineOfLetters, edgeLetters, lettersOf, patientDirection, planeName, usualView } from "../src/orientation.js"
import { PLANES } from "../src/planes.js"
import { lengthPerPixel, scaleBar } from "../src/scale.js"

const STAGE = { width: 400, height: 300 }
const IMAGE = { rows: 30, columns: 40 }
const seen = (affine, plane, view = freshView()) => edgeLetters(affine, plane, viewMatrix(IMAGE, STAGE, view))
const affineOf = (column, row, frame) => [...[0, 1, 2].map((axis) => [column[axis], row[axis], frame[axis], 0]), [0, 0, 0, 1]]

// Stored as scanners do: an axial stack from the feet up, columns to the patient's left, rows to the back.
const AXIAL = affineOf([0.5, 0, 0], [0, 0.5, 0], [0, 0, 2])
// A coronal stack from front to back, and a sagittal one from right to left, both with rows to the feet.
const CORONAL = affineOf([0.5, 0, 0], [0, 0, -0.5], [0, 2, 0])
const SAGITTAL = affineOf([0, 0.5, 0], [0, 0, -0.5], [2, 0, 0])
// NIfTI's usual order of voxels: to the left, to the front, to the head.
const RAS = affineOf([-1, 0, 0], [0, -1, 0], [0, 0, 1])

describe("orientation letters", () => {
  it("have the patient's left on the right of an axial image, seen from the feet", () => {
    expect(seen(AXIAL, "frame")).toEqual({ left: "R", right: "L", top: "A", bottom: "P" })
  })

  it("follow every flip and turn", () => {
    expect(seen(AXIAL, "frame", { ...freshView(), flipX: true })).toEqual({ left: "L", right: "R", top: "A", bottom: "P" })
    expect(seen(AXIAL, "frame", { ...freshView(), flipY: true })).toEqual({ left: "R", right: "L", top: "P", bottom: "A" })
    expect(seen(AXIAL, "frame", turned(freshView()))).toEqual({ left: "P", right: "A", top: "R", bottom: "L" })
    expect(seen(AXIAL, "frame", turned({ ...freshView(), flipX: true }))).toEqual({ left: "P", right: "A", top: "L", bottom: "R" })
    for (const turns of [0, 1, 2, 3]) {
      const once = { ...freshView(), turns, flipX: true }
      expect(seen(AXIAL, "frame", turned(turned(turned(turned(once)))))).toEqual(seen(AXIAL, "frame", once))
    }
  })

  it("are those of NumPy's affine @ [dx, dy, 0] for every view, also through unequal pixels and zoom", () => {
    const tall = { ...IMAGE, tall: 3 }
    for (const turns of [0, 1, 2, 3]) {
      for (const [flipX, flipY] of [[false, false], [true, false], [false, true], [true, true]]) {
        const matrix = viewMatrix(tall, STAGE, { zoom: 2.5, panX: 30, panY: 9, turns, flipX, flipY })
        const [a, b, c, d] = matrix
        // Where does one step along the columns go on the screen? Its letter must stand at that edge.
        const columnEdge = Math.abs(a) > Math.abs(b) ? (a > 0 ? "right" : "left") : b > 0 ? "bottom" : "top"
        const rowEdge = Math.abs(c) > Math.abs(d) ? (c > 0 ? "right" : "left") : d > 0 ? "bottom" : "top"
        const letters = edgeLetters(AXIAL, "frame", matrix)
        expect([letters[columnEdge], letters[rowEdge]]).toEqual(["L", "P"])
      }
    }
  })

  it("are absent where the file does not say how the patient lay", () => {
    expect(seen(null, "frame")).toBe(null)
    expect(seen(undefined, "row")).toBe(null)
    expect(lettersOf(patientDirection(affineOf([0, 0, 0], [0, 1, 0], [0, 0, 1]), "frame", 1, 0))).toBe("")
  })

  it("of a projection come from the letters of its file, and follow every flip and turn", () => {
    const [stored, flipX, flipY] = [{}, { flipX: true }, { flipY: true }].map((view) => ({ ...freshView(), ...view }))
    const views = { stored, flipX, flipY, turned: turned(stored), both: turned(flipX) }
    const told = (row, column) =>
      Object.fromEntries(Object.entries(views).map(([name, view]) => {
        const { left, right, top, bottom } = seen(affineOfLetters({ row, column }), "frame", view)
        return [name, [left, right, top, bottom].join(" ")]
      }))
    expect(told("L", "F")).toEqual({ stored: "R L H F", flipX: "L R H F", flipY: "R L F H", turned: "F H R L", both: "F H L R" })
    // Stored as seen from behind: the patient's right is on the right until it is flipped.
    expect(told("R", "F")).toEqual({ stored: "L R H F", flipX: "R L H F", flipY: "L R F H", turned: "F H L R", both: "F H R L" })
    expect(told("AL", "FR").stored).toBe("PR AL HL FR")
    expect(told("PRF", "F").stored.split(" ").slice(0, 2)).toEqual(["ALH", "PRF"])
    expect(affineOfLetters(null)).toBe(null)
    expect(seen(affineOfLetters({ row: "L", column: "F" }), "row")).toEqual({ left: "R", right: "L", top: "", bottom: "" })
  })

  it("name a second direction from about 17° on", () => {
    const tilted = (degrees) => [Math.cos((degrees * Math.PI) / 180), 0, Math.sin((degrees * Math.PI) / 180)]
    expect(lettersOf(tilted(10))).toBe("L")
    expect(lettersOf(tilted(30))).toBe("LH")
    expect(lettersOf(tilted(70))).toBe("HL")
  })
})

describe("planes of a volume", () => {
  it("are named from the affine, whichever way the volume is stored", () => {
    expect(PLANES.map((plane) => planeName(AXIAL, plane))).toEqual(["Axial", "Coronal", "Sagittal"])
    expect(PLANES.map((plane) => planeName(CORONAL, plane))).toEqual(["Coronal", "Axial", "Sagittal"])
    expect(PLANES.map((plane) => planeName(SAGITTAL, plane))).toEqual(["Sagittal", "Axial", "Coronal"])
    expect(PLANES.map((plane) => planeName(RAS, plane))).toEqual(["Axial", "Coronal", "Sagittal"])
    expect(PLANES.map((plane) => planeName(null, plane))).toEqual(["Frames", "Across rows", "Across columns"])
  })

  it("say when they are oblique", () => {
    const [cos, sin] = [Math.cos(0.6), Math.sin(0.6)]
    expect(planeName(affineOf([1, 0, 0], [0, cos, sin], [0, -sin, cos]), "frame")).toBe("Oblique axial")
  })

  it("are hung as on film: left on the right, head up, face to the left", () => {
    for (const affine of [AXIAL, CORONAL, SAGITTAL, RAS, affineOf([0, 1, 0], [1, 0, 0], [0, 0, -3])]) {
      for (const plane of PLANES) {
        const letters = seen(affine, plane, usualView(affine, plane))
        const expected = { Axial: ["L", "P"], Coronal: ["L", "F"], Sagittal: ["P", "F"] }[planeName(affine, plane)]
        expect([letters.right, letters.bottom]).toEqual(expected)
      }
    }
    expect(usualView(AXIAL, "frame")).toEqual(freshView())
    expect(usualView(null, "frame")).toEqual(freshView())
  })
})

describe("the scale bar", () => {
  const facts = { spacing_mm: [0.5, 0.25], slice_spacing_mm: 2, spacing_at: "patient" }
  const matrix = [4, 0, 0, 8, 0, 0] // four canvas pixels for a column, eight for a row

  it("is a round number of millimetres, about a fifth of the width at most", () => {
    expect(lengthPerPixel(facts, "frame", matrix)).toEqual({ size: 0.0625, unit: "mm" })
    expect(scaleBar(facts, "frame", matrix, 800)).toEqual({ pixels: 160, text: "10 mm" })
    expect(scaleBar(facts, "frame", matrix, 700)).toEqual({ pixels: 80, text: "5 mm" })
  })

  it("goes by what lies across the screen, also when the image is turned", () => {
    expect(lengthPerPixel(facts, "frame", [0, 4, -8, 0, 0, 0]).size).toBeCloseTo(0.5 / 8)
    expect(lengthPerPixel(facts, "row", [0, 4, -8, 0, 0, 0]).size).toBeCloseTo(2 / 8)
  })

  it("says where an X-ray was measured, and counts pixels where no spacing is known", () => {
    expect(scaleBar({ ...facts, spacing_at: "detector" }, "frame", matrix, 800).text).toBe("10 mm at detector")
    expect(scaleBar({ spacing_mm: null }, "frame", matrix, 800)).toEqual({ pixels: 80, text: "20 px" })
    expect(scaleBar({ ...facts, slice_spacing_mm: null }, "column", matrix, 800).text).toBe("20 px")
  })
})
