// What a key does to the answer and to the place in the list, without a screen.

import { describe, expect, it } from "vitest"

import { History } from "../src/answers.js"
import { Viewer } from "../src/viewer.js"

const classes = [{ name: "normal", key: "1" }, { name: "pneumonia", key: "2" }]

/** A viewer on the first of two cases; `sent` holds the answers on their way, `gone` the places it went to. */
function reading(project) {
  const sent = []
  const gone = []
  const viewer = Object.assign(Object.create(Viewer.prototype), {
    mode: "label",
    data: { project: { classes, multi_label: false, digit_advances: true, ...project }, case_ids: [7, 8] },
    index: 0,
    loaded: { facts: { id: 7, my_label: null } },
    said: new Map(),
    history: new History(),
    answers: { show() {} },
    bar: { say() {} },
    starting: Promise.resolve(),
    queue: { add: (event) => sent.push(event) },
    go: (index) => gone.push(index),
  })
  return { viewer, sent, gone }
}

describe("on the label page", () => {
  it("a digit saves and goes on in a single-label project", async () => {
    const { viewer, sent, gone } = reading({})
    viewer.run({ command: "class", digit: "2" })
    await viewer.starting
    expect(sent.map((event) => [event.case, event.value.classes])).toEqual([[7, ["pneumonia"]]])
    expect(gone).toEqual([1])
  })

  it("a digit only saves where the project says so, and Enter goes on", async () => {
    const { viewer, sent, gone } = reading({ digit_advances: false })
    viewer.run({ command: "class", digit: "2" })
    expect(gone).toEqual([])
    viewer.run({ command: "confirm" })
    await viewer.starting
    expect(sent.length).toBe(1)
    expect(gone).toEqual([1])
  })

  it("digits toggle in a multi-label project, and Enter goes on", async () => {
    const { viewer, sent, gone } = reading({ multi_label: true })
    for (const digit of ["2", "1", "2"]) viewer.run({ command: "class", digit })
    expect(gone).toEqual([])
    viewer.run({ command: "confirm" })
    await viewer.starting
    expect(sent.map((event) => event.value.classes)).toEqual([["pneumonia"], ["normal", "pneumonia"], ["normal"]])
    expect(gone).toEqual([1])
  })

  it("Enter alone says none of the classes in a multi-label project, and nothing in a single-label one", async () => {
    for (const [multi_label, said] of [[true, [{ classes: [] }]], [false, []]]) {
      const { viewer, sent, gone } = reading({ multi_label })
      viewer.run({ command: "confirm" })
      await viewer.starting
      expect(sent.map((event) => event.value)).toEqual(said)
      expect(gone).toEqual([1])
    }
  })

  it("undo goes back to the case and takes its answer back", async () => {
    const { viewer, sent, gone } = reading({})
    viewer.run({ command: "class", digit: "1" })
    viewer.run({ command: "undo" })
    await viewer.starting
    expect(sent.map((event) => event.value)).toEqual([{ classes: ["normal"] }, null])
    expect(gone).toEqual([1, 0])
  })
})
