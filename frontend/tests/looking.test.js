import { readFileSync } from "node:fs"

import { describe, expect, it } from "vitest"

import levels from "./levels.json"
import { fitScale, freshView, toImage, turned, viewMatrix, zoomAt } from "../src/geometry.js"
import { runCommand } from "../src/commands.js"
import { draggedWindow } from "../src/drag.js"
import { parseNpy } from "../src/npy.js"
import { paintPixels } from "../src/renderers/canvas.js"
import { autoWindow, firstWindow } from "../src/window.js"

const ARRAYS = { u1: Uint8Array, i2: Int16Array, u2: Uint16Array, f4: Float32Array }

function painted({ kind, values, channels = 1 }, window, inverted) {
  const image = { kind, channels, values: new ARRAYS[kind](values), rows: 1, columns: values.length / channels }
  const words = new Uint32Array(image.columns)
  paintPixels(image, { window, inverted }, words)
  return Array.from(words, (word) => word & 0xff)
}

describe("texts on the image", () => {
  it("have one dark halo, the scale bar's too, and none in a smaller letter than the corners", () => {
    const css = ["../src/viewer.css", "../src/css/looking.css"].map((path) => readFileSync(new URL(path, import.meta.url), "utf-8")).join("\n")
    const rules = css.split("\n").filter((line) => line.includes("text-shadow"))
    expect(rules).toHaveLength(1)
    for (const name of [".corner", ".edge", ".plane-name", ".scale"]) expect(rules[0].split("{")[0]).toContain(`.stage ${name}`)
    const sizeOf = (name) => Number(new RegExp(`^\\${name} \\{[^}]*font-size: (\\d+)px`, "m").exec(css)[1])
    expect(sizeOf(".scale")).toBeGreaterThanOrEqual(sizeOf(".corner"))
  })
})

describe("grey levels", () => {
  // levels.json is what core/images/render.py gives; tests/dashboard/test_viewer.py compares it with that.
  it.each(levels)("are those of the models: $name", ({ kind, values, window, inverted, expected }) => {
    expect(painted({ kind, values }, window, inverted)).toEqual(expected)
  })

  it.each(levels.filter((one) => one.auto))("find the same window by themselves: $name", ({ kind, values, auto }) => {
    const found = autoWindow({ kind, channels: 1, values: new ARRAYS[kind](values) })
    expect(found.centre).toBeCloseTo(auto.centre, 4)
    expect(found.width).toBeCloseTo(auto.width, 4)
  })

  it("leave colour as it is stored", () => {
    const image = { kind: "u1", channels: 3, values: new Uint8Array([1, 2, 3]), rows: 1, columns: 1 }
    const words = new Uint32Array(1)
    paintPixels(image, { window: firstWindow(image, []), inverted: false }, words)
    expect(words[0]).toBe(0xff030201)
  })
})

describe("the view", () => {
  const image = { rows: 100, columns: 200 }
  const stage = { width: 400, height: 400 }

  it("takes a point to the screen and back, however it is turned, flipped, zoomed and moved", () => {
    for (const turns of [0, 1, 2, 3]) {
      for (const [flipX, flipY] of [[false, false], [true, false], [false, true], [true, true]]) {
        const [a, b, c, d, e, f] = viewMatrix(image, stage, { zoom: 1.7, panX: 11, panY: -5, turns, flipX, flipY })
        const [x, y] = [a * 30 + c * 40 + e, b * 30 + d * 40 + f]
        const back = toImage([a, b, c, d, e, f], x, y)
        expect(back[0]).toBeCloseTo(30)
        expect(back[1]).toBeCloseTo(40)
      }
    }
  })

  it("turns clockwise as seen, also when flipped", () => {
    const seen = (view) => {
      const [a, b, c, d, e, f] = viewMatrix(image, stage, view)
      return [a * 200 + c * 50 + e - 200, b * 200 + d * 50 + f - 200].map(Math.sign) // the middle of the right edge
    }
    expect(seen(freshView())).toEqual([1, 0])
    expect(seen(turned(freshView()))).toEqual([0, 1])
    expect(seen(turned({ ...freshView(), flipX: true }))).toEqual([0, -1]) // it was on the left
  })

  it("fits turned images and pixels that are not square", () => {
    expect(fitScale(image, stage, 0)).toBeCloseTo(2 * 0.985)
    expect(fitScale({ ...image, tall: 4 }, stage, 0)).toBeCloseTo(0.985)
    expect(fitScale({ rows: 200, columns: 100 }, { width: 400, height: 100 }, 1)).toBeCloseTo(0.985)
  })

  it("keeps the point under the cursor when zooming", () => {
    const view = { ...freshView(), panX: 20 }
    const before = toImage(viewMatrix(image, stage, view), 120, 300)
    const after = toImage(viewMatrix(image, stage, zoomAt(view, stage, 120, 300, 2.5)), 120, 300)
    expect(after[0]).toBeCloseTo(before[0])
    expect(after[1]).toBeCloseTo(before[1])
  })

  it("stretches the curve of a window with it", () => {
    const first = { centre: 100, width: 200, curve: "sigmoid" }
    expect(draggedWindow(first, first, 50, 50)).toMatchObject({ centre: 120, width: 220, curve: "sigmoid" })
    const pane = { facts: {}, window: { centre: 100, width: 200, curve: [[1, 2], [3, 4]] }, setWindow(window) { this.window = window } }
    runCommand(pane, "narrower")
    runCommand(pane, "brighter")
    expect(pane.window.width).toBeLessThan(200)
    expect(pane.window.centre).toBeLessThan(100)
    expect(pane.window.curve).toEqual([[1, 2], [3, 4]])
  })

  it("never lets a window become empty", () => {
    const first = { centre: 100, width: 200 }
    expect(draggedWindow(first, first, -5000, 0).width).toBeGreaterThan(0)
    expect(draggedWindow(first, first, 0, 50).centre).toBe(120)
  })
})

describe("an array", () => {
  function npy(descr, shape, bytes, fortran = "False") {
    const header = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${shape.join(", ")},), }`
    const text = header.padEnd(117) + "\n"
    const buffer = new Uint8Array(10 + text.length + bytes.length)
    buffer.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length, 0])
    buffer.set(new TextEncoder().encode(text), 10)
    buffer.set(bytes, 10 + text.length)
    return buffer.buffer
  }

  it("is read with its shape and kind", () => {
    const { shape, kind, values } = parseNpy(npy("<i2", [2, 1], [255, 255, 2, 0]))
    expect([shape, kind, [...values]]).toEqual([[2, 1], "i2", [-1, 2]])
  })

  it.each([
    ["cut off", () => npy("<u2", [4], [1, 0])],
    ["in another order", () => npy("<u1", [1], [1], "True")],
    ["of another byte order", () => npy(">u2", [1], [1, 0])],
    ["of objects", () => npy("|O", [1], [1])],
    ["no array at all", () => new TextEncoder().encode("<html>not an array</html>").buffer],
  ])("that is %s is refused", (_, make) => {
    expect(() => parseNpy(make())).toThrow()
  })
})
