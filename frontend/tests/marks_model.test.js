import { describe, expect, it } from "vitest"

import { betweenCorners, boundsOf, covers, handlesOf, hit, isWhole, middlesOf, moved, ofPoints, simplified, withHandle, withVertex, withoutVertex } from "../src/marks/model.js"
import { random as seeded } from "./random.js"

const size = { rows: 80, columns: 100 }
const box = { x: 10, y: 20, width: 30, height: 40 }
const triangle = { points: [[10, 10], [50, 10], [10, 40]] }
const asIs = (x, y) => [x, y]

describe("a shape", () => {
  it("lies between two corners, in whatever order they were dragged", () => {
    expect(betweenCorners("box", [40, 60], [10, 20], size)).toEqual(box)
    expect(betweenCorners("ellipse", [10, 20], [40, 60], size)).toEqual({ x: 25, y: 40, rx: 15, ry: 20 })
    expect(betweenCorners("box", [10, 20], [10, 60], size)).toBe(null)
  })

  it("never leaves the image, not even by a rounding", () => {
    const random = seeded(3)
    const odd = { rows: 333, columns: 517 }
    for (let round = 0; round < 2000; round++) {
      const places = Array.from({ length: 4 }, () => random() * 900 - 200)
      let geometry = betweenCorners("box", places.slice(0, 2), places.slice(2), odd)
      if (!geometry) continue
      geometry = moved("box", geometry, random() * 2000 - 1000, random() * 2000 - 1000, odd)
      geometry = withHandle("box", geometry, Math.floor(random() * 8), [random() * 900 - 200, random() * 900 - 200], odd)
      const { x, y, width, height } = geometry
      expect(x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= 517 && y + height <= 333).toBe(true)
    }
    expect(ofPoints("length", [[-5, 10.2], [140, 90]], size)).toEqual({ points: [[0, 10.203125], [100, 80]] })
    expect(ofPoints("point", [[-5, 81]], size)).toEqual({ x: 0, y: 80 })
  })

  it("that came from elsewhere with long fractions stays inside when it is moved to the edge", () => {
    const { x, width } = moved("box", { x: 0.1, y: 0.1, width: 33.3333333, height: 7.7 }, 999, 0, size)
    expect(x + width).toBeLessThanOrEqual(100)
    const { points } = moved("polygon", { points: [[0.1, 0.1], [33.3333333, 0.1], [5, 5]] }, 999, 999, size)
    for (const [px, py] of points) expect(px <= 100 && py <= 80).toBe(true)
  })

  it("needs points enough, and not all on one spot", () => {
    expect(isWhole("polygon", { points: [[1, 1], [2, 2]] })).toBe(false)
    expect(isWhole("polygon", { points: [[1, 1], [5, 1], [9, 1]] })).toBe(false) // encloses nothing
    expect(isWhole("polygon", triangle)).toBe(true)
    expect(isWhole("length", { points: [[4, 4], [4, 4]] })).toBe(false)
    expect(isWhole("length", { points: [[4, 4], [4, 9]] })).toBe(true)
  })

  it("is not changed in place", () => {
    const frozen = Object.freeze({ points: Object.freeze(triangle.points.map((point) => Object.freeze([...point]))) })
    withHandle("polygon", frozen, 1, [60, 20], size)
    moved("polygon", frozen, 3, 3, size)
    withVertex(frozen, 0, [30, 5], size)
    withoutVertex("polygon", frozen, 0)
    expect(frozen).toEqual(triangle)
  })
})

describe("a freehand line", () => {
  it("is kept with few points, none of the line further away than told", () => {
    const drawn = Array.from({ length: 400 }, (_, at) => [50 + 30 * Math.cos(at / 64), 40 + 20 * Math.sin(at / 64)])
    const kept = simplified(drawn, 0.25)
    expect(kept.length).toBeLessThan(60)
    expect(kept[0]).toEqual(drawn[0])
    expect(kept.at(-1)).toEqual(drawn.at(-1))
    for (const [x, y] of drawn) {
      const near = kept.slice(1).some(([x1, y1], at) => {
        const [x0, y0] = kept[at]
        const share = Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)))
        return Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)) <= 0.2501
      })
      expect(near).toBe(true)
    }
  })
})

describe("handles", () => {
  it("of a box move a side or two; a side pulled across the other changes places with it", () => {
    expect(handlesOf("box", box)[4]).toEqual([40, 60])
    expect(withHandle("box", box, 4, [50, 70], size)).toEqual({ x: 10, y: 20, width: 40, height: 50 })
    expect(withHandle("box", box, 3, [60, 999], size)).toEqual({ x: 10, y: 20, width: 50, height: 40 })
    expect(withHandle("box", box, 7, [70, 0], size)).toEqual({ x: 40, y: 20, width: 30, height: 40 })
    expect(withHandle("box", box, 7, [40, 0], size)).toEqual(box) // it would vanish
  })

  it("of an ellipse pull one end of an axis while the other stays, also of a turned one", () => {
    const flat = { x: 50, y: 40, rx: 20, ry: 10 }
    expect(withHandle("ellipse", flat, 0, [80, 0], size)).toEqual({ x: 55, y: 40, rx: 25, ry: 10 })
    const upright = { ...flat, angle: 90 }
    expect(handlesOf("ellipse", upright)[0][1]).toBeCloseTo(60)
    const pulled = withHandle("ellipse", upright, 0, [0, 70], size)
    expect([pulled.x, pulled.y, pulled.rx, pulled.angle].map((value) => +value.toFixed(6))).toEqual([50, 45, 25, 90])
    const { left, right, top, bottom } = boundsOf("ellipse", upright)
    expect([left, right, top, bottom].map((value) => +value.toFixed(6))).toEqual([40, 60, 20, 60])
  })

  it("of an outline are its corners; the middle of a side makes a new one, and one may go while three are left", () => {
    expect(withHandle("polygon", triangle, 1, [60, 20], size).points[1]).toEqual([60, 20])
    expect(middlesOf("polygon", triangle)[2]).toEqual([10, 25])
    const four = withVertex(triangle, 0, [30, 4], size)
    expect(four.points).toEqual([[10, 10], [30, 4], [50, 10], [10, 40]])
    expect(withoutVertex("polygon", four, 1)).toEqual(triangle)
    expect(withoutVertex("polygon", triangle, 1)).toBe(null)
  })

  it("move the whole only as far as the image reaches", () => {
    expect(moved("box", box, 5, -3, size)).toEqual({ x: 15, y: 17, width: 30, height: 40 })
    expect(moved("box", box, 500, 500, size)).toEqual({ x: 70, y: 40, width: 30, height: 40 })
    expect(moved("length", { points: [[0, 0], [10, 0]] }, -5, 2, size)).toEqual({ points: [[0, 2], [10, 2]] })
    expect(moved("ellipse", { x: 50, y: 40, rx: 20, ry: 10 }, 100, 0, size).x).toBe(80)
  })
})

describe("what lies under the pointer", () => {
  const find = (kind, geometry, at, how = {}) => hit(kind, geometry, at, asIs, { reach: 3, handles: true, ...how })

  it("is a handle before a side, and a side before what is inside", () => {
    expect(find("box", box, [11, 21])).toEqual({ part: "handle", index: 0 })
    expect(find("box", box, [11, 21], { handles: false })).toEqual({ part: "edge" })
    expect(find("box", box, [11, 32])).toEqual({ part: "edge" })
    expect(find("box", box, [25, 45])).toEqual({ part: "body" })
    expect(find("box", box, [60, 70])).toBe(null)
    expect(find("polygon", triangle, [10, 25])).toEqual({ part: "middle", index: 2 })
    expect(find("point", { x: 5, y: 5 }, [7, 5])).toEqual({ part: "edge" })
  })

  it("is not the side that an open line does not have", () => {
    expect(find("angle", triangle, [10, 25])).toBe(null)
    expect(find("angle", triangle, [30, 11])).toEqual({ part: "edge" })
  })

  it("is told in pixels of the canvas, however the picture is turned and flipped", () => {
    const turned = (x, y) => [300 - 4 * y, 50 - 2 * x] // a quarter turn, flipped, and pixels twice as long as wide
    const at = turned(10, 40)
    expect(hit("box", box, [at[0] + 2, at[1] - 2], turned, { reach: 3, handles: false })).toEqual({ part: "edge" })
    expect(hit("box", box, turned(25, 45), turned, { reach: 3, handles: false })).toEqual({ part: "body" })
    expect(hit("box", box, turned(9, 40), turned, { reach: 1.5, handles: false })).toBe(null)
  })
})

describe("inside", () => {
  it("is told by the even-odd rule where an outline crosses itself", () => {
    const crossed = { points: [[0, 0], [20, 20], [20, 0], [0, 20]] }
    expect([covers("polygon", crossed, 18, 10), covers("polygon", crossed, 10, 4)]).toEqual([true, false])
    expect([covers("ellipse", { x: 10, y: 10, rx: 5, ry: 2 }, 14, 10), covers("ellipse", { x: 10, y: 10, rx: 5, ry: 2 }, 10, 13)]).toEqual([true, false])
  })
})
