import { describe, expect, it } from "vitest"

import { pixelOf, reach } from "../src/masks/brush.js"
import { eachCoveredLine } from "../src/masks/shapes.js"
import { random } from "./random.js"

function covered(start, end, radius, plane) {
  const mask = new Uint8Array(plane.rows * plane.columns)
  eachCoveredLine(start, end, radius, plane, (y, from, to) => mask.fill(1, y * plane.columns + from, y * plane.columns + to))
  return mask
}

function distanceToWay(x, y, [x1, y1], [x2, y2]) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2
  const share = length ? Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length)) : 0
  return Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1))
}

describe("what a brush covers", () => {
  it("is every pixel whose centre is near the way, in millimetres where pixels are not square", () => {
    const draw = random(3)
    for (let trial = 0; trial < 200; trial++) {
      const plane = { rows: 40, columns: 50, tall: [1, 0.5, 2.5][trial % 3] }
      const [start, end] = [0, 1].map(() => [draw() * 70 - 10, draw() * 60 - 10])
      const radius = plane.tall + draw() * 12
      const mask = covered(start, end, radius, plane)
      let wrong = 0
      const tall = ([x, y]) => [x, y * plane.tall]
      for (let y = 0; y < plane.rows; y++) {
        for (let x = 0; x < plane.columns; x++) {
          const far = distanceToWay(x + 0.5, (y + 0.5) * plane.tall, tall(start), tall(end))
          if (Math.abs(far - radius) > 1e-9 && mask[y * plane.columns + x] !== (far < radius ? 1 : 0)) wrong++
        }
      }
      expect(wrong, `${start} ${end} ${radius}`).toBe(0)
    }
  })

  it("is one pixel for the smallest brush, the one under the pointer", () => {
    const draw = random(5)
    const plane = { rows: 20, columns: 20, tall: 1 }
    for (let trial = 0; trial < 200; trial++) {
      const [x, y] = [Math.floor(draw() * 40) / 2, Math.floor(draw() * 40) / 2]
      const mask = covered([x, y], [x, y], 0.5, plane)
      expect(mask.reduce((sum, value) => sum + value)).toBe(1)
      expect(mask[Math.floor(y) * 20 + Math.floor(x)]).toBe(1)
    }
  })

  it("has no gap however fast the hand was, also where slices are thick", () => {
    const draw = random(7)
    for (let trial = 0; trial < 100; trial++) {
      const plane = { rows: 60, columns: 60, tall: [1, 4, 0.4][trial % 3] }
      const [start, end] = [0, 1].map(() => [2 + draw() * 56, 2 + draw() * 56])
      const mask = covered(start, end, 0.5, plane)
      expect(pieces(mask, 60)).toBe(1)
      for (const [x, y] of [start, end]) expect(mask[Math.floor(y) * 60 + Math.floor(x)]).toBe(1)
    }
  })

  it("paints one slice at its full width where slices are thicker than the brush", () => {
    const plane = { rows: 9, columns: 30, tall: 5 }
    const mask = covered([15, 4.1], [15, 4.1], 2, plane)
    expect([...mask.keys()].filter((at) => mask[at]).map((at) => [Math.floor(at / 30), at % 30])).toEqual([[4, 13], [4, 14], [4, 15], [4, 16]])
  })
})

function pieces(mask, columns) {
  const left = new Set([...mask.keys()].filter((at) => mask[at]))
  let count = 0
  while (left.size) {
    count++
    const waiting = [left.values().next().value]
    left.delete(waiting[0])
    while (waiting.length) {
      const at = waiting.pop()
      for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) if (left.delete(at + dy * columns + dx)) waiting.push(at + dy * columns + dx)
    }
  }
  return count
}

describe("a brush in a volume", () => {
  const facts = { frames: 30, rows: 40, columns: 50, spacing_mm: [2, 1], slice_spacing_mm: 3 }

  it("has the same size in millimetres in every plane", () => {
    for (const plane of ["frame", "row", "column"]) {
      const [[, radius]] = reach(facts, plane, 5, 12, false)
      expect(radius * pixelOf(facts, plane).across).toBe(6)
    }
  })

  it("reaches as a ball into as many slices as it is thick, smaller from the middle on", () => {
    expect(reach(facts, "frame", 10, 12, true)).toEqual([[9, Math.sqrt(27)], [10, 6], [11, Math.sqrt(27)]])
    const rows = reach(facts, "row", 10, 12, true)
    expect(rows.map(([index]) => index)).toEqual([8, 9, 10, 11, 12])
    expect(reach(facts, "frame", 0, 12, true).map(([index]) => index)).toEqual([0, 1])
  })

  it("counts pixels where no spacing is known", () => {
    expect(reach({ frames: 9, rows: 9, columns: 9 }, "row", 4, 4, true)).toEqual([[3, Math.sqrt(3)], [4, 2], [5, Math.sqrt(3)]])
  })
})
