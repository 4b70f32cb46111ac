import { describe, expect, it } from "vitest"

import { gives, measureLines, numberFrom, quantityOf, quantityText, valuesIn } from "../src/marks/measures.js"
import expected from "./measures.json"

const rows = 40
const columns = 50
const known = { rows, columns, spacing_mm: [0.7, 0.4], spacing_at: "patient", modality: "CT" }
const unknown = { rows, columns, spacing_mm: null }

/** The image of tests/dashboard/test_viewer_measures.py. */
const values = Int16Array.from({ length: rows * columns }, (_, at) => ((Math.floor(at / columns) * 7919 + (at % columns) * 104729) % 2500) - 1024)
const picture = { key: "one:0", rows, columns, channels: 1, values }
const line = (...points) => ({ points })

describe("a length", () => {
  it("is in millimetres of the patient, where pixels are longer than wide", () => {
    const { value, unit } = quantityOf("length", line([0, 0], [30, 40]), known)
    expect([value, unit]).toEqual([Math.hypot(30 * 0.4, 40 * 0.7), "mm"])
    expect(quantityText("length", line([0, 0], [25, 0]), known)).toBe("10.0 mm")
    expect(quantityText("length", line([0, 0], [0, 10]), known)).toBe("7.00 mm")
  })

  it("is in pixels where nothing says how large they are", () => {
    expect(quantityText("length", line([0, 0], [30, 40]), unknown)).toBe("50.0 px")
  })

  it("of a projection holds at the detector, and says so", () => {
    expect(quantityText("length", line([0, 0], [25, 0]), { ...known, spacing_at: "detector" })).toBe("10.0 mm at detector")
    expect(quantityText("box", { x: 0, y: 0, width: 10, height: 10 }, { ...known, spacing_at: "detector" })).toBe("28.0 mm² at detector")
  })
})

describe("an angle", () => {
  it("is the one in the patient, not the one on stretched pixels", () => {
    const { value } = quantityOf("angle", line([10, 0], [0, 0], [10, 10]), known)
    expect(value).toBeCloseTo((Math.atan2(7, 4) * 180) / Math.PI, 10)
    expect(quantityOf("angle", line([10, 0], [0, 0], [0, 5]), known).value).toBe(90)
    expect(quantityOf("angle", line([10, 0], [0, 0], [-10, 0]), known).value).toBe(180)
    expect(quantityText("angle", line([10, 0], [0, 0], [10, 10]), unknown)).toBe("45.0°")
  })
})

describe("an area", () => {
  it("is in square millimetres of every closed shape", () => {
    expect(quantityOf("box", { x: 1, y: 2, width: 10, height: 20 }, known).value).toBeCloseTo(200 * 0.28, 10)
    expect(quantityOf("ellipse", { x: 20, y: 20, rx: 10, ry: 5, angle: 20 }, known).value).toBeCloseTo(Math.PI * 50 * 0.28, 10)
    const turned = line([0, 0], [0, 20], [10, 20], [10, 0])
    expect(quantityOf("polygon", turned, known).value).toBeCloseTo(200 * 0.28, 10)
    expect(quantityText("polygon", turned, unknown)).toBe("200.0 px²")
    expect(quantityOf("point", { x: 1, y: 1 }, known)).toBe(null)
  })
})

describe("the values inside", () => {
  it("are those of NumPy, for every closed kind", () => {
    for (const { kind, geometry, count, mean, sd, least, most } of expected) {
      const found = valuesIn(kind, geometry, picture)
      expect([found.count, found.least, found.most], kind).toEqual([count, least, most])
      expect(found.mean).toBeCloseTo(mean, 9)
      expect(found.sd).toBeCloseTo(sd, 9)
    }
  })

  it("leave out what is no number, and are none where no pixel has its middle inside or pixels have colours", () => {
    const floats = { ...picture, key: "two", values: Float32Array.from(values, (value, at) => (at === 0 ? NaN : at === 1 ? Infinity : value)) }
    expect(valuesIn("box", { x: 0, y: 0, width: 4, height: 1 }, floats).count).toBe(2)
    expect(valuesIn("box", { x: 0.6, y: 0.6, width: 0.7, height: 0.7 }, picture)).toBe(null)
    expect(valuesIn("box", { x: 0, y: 0, width: 4, height: 1 }, { ...picture, channels: 3 })).toBe(null)
    expect(valuesIn("length", line([0, 0], [9, 9]), picture)).toBe(null)
  })

  it("are told in Hounsfield units of a CT only", () => {
    const one = { x: 0, y: 0, width: 1, height: 1 }
    expect(measureLines("box", one, known, picture)).toEqual(["0.28 mm²", "Mean −1024 HU, SD 0", "−1024 to −1024, 1 px"])
    expect(measureLines("box", one, { ...known, modality: "MR" }, picture)[1]).toBe("Mean −1024, SD 0")
    expect(measureLines("box", one, known, null)).toEqual(["0.28 mm²"]) // the frame is not loaded yet
    expect(measureLines("point", { x: 50, y: 0.5 }, known, picture)).toEqual([`49, 0: ${values[49]} HU`.replace("-", "−")])
  })
})

describe("a number as the answer", () => {
  it("comes from a mark of the kind that the project asks for, in its unit", () => {
    expect(numberFrom("length", line([0, 0], [25, 0]), known, { measure: "length", unit: "cm" })).toBe(1)
    expect(numberFrom("polygon", line([0, 0], [0, 20], [10, 20], [10, 0]), known, { measure: "area", unit: "cm²" })).toBeCloseTo(0.56, 10)
    expect(numberFrom("angle", line([9, 0], [0, 0], [0, 9]), unknown, { measure: "angle", unit: "°" })).toBe(90)
    expect(numberFrom("box", { x: 0, y: 0, width: 5, height: 5 }, known, { measure: "length", unit: "mm" })).toBe(null)
    expect([gives("ellipse", "area"), gives("length", "area"), gives("angle", "angle")]).toEqual([true, false, true])
  })

  it("is none where the image has no scale", () => {
    expect(numberFrom("length", line([0, 0], [25, 0]), unknown, { measure: "length", unit: "mm" })).toBe(null)
  })
})
