// How the overlay begins and what is told of it, without a screen.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"

import { Explainer } from "../src/explainer.js"

const CASE = { facts: { id: 7 } }
const DATA = { model: 4, method: "grad_cam", project: { classes: [{ name: "normal" }, { name: "pneumonia" }] } }
const FINDING = { scores: { normal: 0.9, pneumonia: 0.1 } }

function explaining(start) {
  const told = []
  const shown = []
  const explainer = new Explainer({ setLayers() {} }, start, (look) => told.push(look))
  explainer.panel = { showOverlay: (on, text, name) => shown.push([on, name]) }
  explainer.load = vi.fn()
  return { explainer, told, shown }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe("the overlay", () => {
  it("is off at first, of the likeliest class", () => {
    const { explainer, shown, told } = explaining()
    explainer.enter(CASE, DATA, FINDING)
    vi.runAllTimers()
    expect([shown, explainer.load.mock.calls.length, told]).toEqual([[[false, "normal"]], 0, []])
  })

  it("begins as the address says: on, of its class, as strong, in its colours", () => {
    const { explainer, shown } = explaining({ on: true, class: "pneumonia", opacity: 0.3, threshold: 0.2, colours: "magma" })
    explainer.enter(CASE, DATA, FINDING)
    expect([shown, explainer.load.mock.calls.length]).toEqual([[[true, "pneumonia"]], 1])
    expect(explainer.controls().look).toEqual({ opacity: 0.3, threshold: 0.2, colourMap: "magma" })
  })

  it("is of the quantity where a number is asked for", () => {
    const { explainer, shown } = explaining()
    const project = { task: "regression", target: "age", unit: "years", classes: [] }
    explainer.enter(CASE, { ...DATA, project }, { reference: { value: 40 }, scores: {}, number: { value: 41 } })
    expect([shown, explainer.asked.class]).toEqual([[[false, "age"]], "age"])
  })

  it("is told once it rests, not at every step of a slider", () => {
    const { explainer, told } = explaining()
    const controls = explainer.controls()
    explainer.enter(CASE, DATA, FINDING)
    controls.toggle()
    for (const opacity of [0.55, 0.5, 0.45]) controls.opacity(opacity)
    vi.runAllTimers()
    expect(told).toEqual([{ on: true, class: "", opacity: 0.45, threshold: 0, colours: "viridis" }])
    controls.explain("pneumonia")
    controls.toggle()
    vi.runAllTimers()
    expect(told.at(-1)).toMatchObject({ on: false, class: "pneumonia" })
  })

  it("is told no more once the viewer is gone", () => {
    const { explainer, told } = explaining()
    explainer.controls().opacity(0.1)
    explainer.close()
    vi.runAllTimers()
    expect(told).toEqual([])
  })
})
