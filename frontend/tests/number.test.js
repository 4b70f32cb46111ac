// What stands beside a case whose model says a number.

import { describe, expect, it } from "vitest"

import { answerOfTexts, findingRows, findingRowsOfSeveral, missingOf, quantitiesOf, shortNumber } from "../src/number.js"

describe("a quantity", () => {
  it("is written to three figures and never coarser than ones", () => {
    expect([0.03124, 36.96, 1234.6, -4.777, 0].map(shortNumber)).toEqual(["0.0312", "37.0", "1235", "−4.78", "0"])
  })

  it("stands between reference and difference, with its interval", () => {
    const rows = findingRows({ reference: { value: 36 }, number: { value: 31.23, low: 18.9, high: 43.56, level: 0.9 } }, "nuclei")
    expect(rows.map(([, text]) => text)).toEqual(["36 nuclei", "31.2 nuclei", "18.9 to 43.6 nuclei", "−4.77 nuclei"])
    expect(rows[2][0]).toContain("90 %")
  })

  it("has no interval where the model has none, and no difference without a reference", () => {
    expect(findingRows({ reference: null, number: { value: 3 } }, "mm")).toEqual([["Reference", "none yet"], ["Model", "3.00 mm"]])
    expect(findingRows({ reference: { value: 4 }, number: null }, "mm")).toEqual([["Reference", "4 mm"]])
  })
})

describe("several quantities", () => {
  const project = { target: "weight", unit: "kg", low: 0, high: null, further: [{ target: "age", unit: "years", low: 0, high: 120 }] }

  it("are an answer all together, in the order in which the server keeps them", () => {
    expect(quantitiesOf(project).map(({ target }) => target)).toEqual(["weight", "age"])
    expect(JSON.stringify(answerOfTexts({ weight: "70,5", age: "62" }))).toBe('{"age":62,"weight":70.5}')
  })

  it("are taken back by empty fields, and half of them is no answer", () => {
    expect(answerOfTexts({ weight: "", age: " " })).toBeNull()
    expect(missingOf({ weight: "", age: " " })).toEqual([])
    expect(missingOf({ weight: "70", age: " " })).toEqual([1])
  })

  it("stand a line each, with interval and difference where there are some", () => {
    const numbers = { age: { value: 62, low: 50, high: 74, level: 0.9 }, weight: { value: 65 } }
    expect(findingRowsOfSeveral({ reference: { values: { age: 60, weight: 70 } }, numbers }, quantitiesOf(project))).toEqual([
      ["Weight, kg", "reference 70; model 65.0; difference −5.00"],
      ["Age, years", "reference 60; model 62.0 (90 %: 50.0 to 74.0); difference +2.00"],
    ])
    expect(findingRowsOfSeveral({ reference: null, numbers: null }, quantitiesOf(project))[0]).toEqual(["Weight, kg", "no reference"])
  })
})
