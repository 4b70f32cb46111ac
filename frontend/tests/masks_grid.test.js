import { describe, expect, it } from "vitest"

import { floodFrom } from "../src/masks/flood.js"
import { Grid, lineOf } from "../src/masks/grid.js"
import { interpolate, signedDistance } from "../src/masks/interpolate.js"
import { amountText, sizeText } from "../src/masks/measure.js"
import { encode } from "../src/masks/runs.js"
import { Stroke } from "../src/masks/stroke.js"
import { PLANES, planeCount, planeSize, sliceMask, toVoxel, writeSlice } from "../src/planes.js"
import { random } from "./random.js"

const facts = { frames: 4, rows: 5, columns: 6 }

function filled(seed) {
  const draw = random(seed)
  const grid = new Grid(facts)
  const whole = new Uint8Array(4 * 5 * 6)
  for (let at = 0; at < whole.length; at++) {
    if (draw() < 0.6) continue
    whole[at] = 1
    grid.write(Math.floor(at / 30), at % 30, 1, 1, 1)
  }
  return { grid, whole }
}

describe("the grid of a structure", () => {
  it("cuts slices as images are cut", () => {
    const { grid, whole } = filled(1)
    for (const plane of PLANES) {
      const { columns } = planeSize(facts, plane)
      for (let index = 0; index < planeCount(facts, plane); index++) {
        expect(grid.slice(plane, index)).toEqual(sliceMask(whole, facts, plane, index))
        for (let y = 0; y < planeSize(facts, plane).rows; y++) {
          const { frame, start, step } = lineOf(facts, plane, index, y)
          const [column, row, at] = toVoxel(plane, index, columns - 0.5, y + 0.5).map(Math.floor)
          expect([frame, start + (columns - 1) * step]).toEqual([at, row * 6 + column])
        }
      }
    }
  })

  it("takes a slice back as volumes do", () => {
    for (const plane of PLANES) {
      const { grid, whole } = filled(2)
      const size = planeSize(facts, plane)
      const slice = sliceMask(filled(3).whole, facts, plane, 2)
      const stroke = new Stroke(grid, "liver")
      stroke.replace(plane, 2, slice, size)
      writeSlice(whole, facts, plane, 2, slice)
      for (let frame = 0; frame < 4; frame++) expect(grid.slice("frame", frame) ?? new Uint8Array(30)).toEqual(sliceMask(whole, facts, "frame", frame))
      expect(grid.count).toBe(whole.reduce((sum, value) => sum + value))
    }
  })

  it("counts what is painted as it is painted, and holds no memory for what is not", () => {
    const grid = new Grid(facts)
    expect(grid.write(1, 0, 1, 6, 1)).toBe(6)
    expect(grid.write(1, 3, 1, 6, 1)).toBe(3)
    expect(grid.write(2, 0, 1, 6, 0)).toBe(0)
    expect(grid.write(1, 0, 1, 2, 0)).toBe(2)
    expect([grid.count, grid.countIn(1), [...grid.held.keys()]]).toEqual([7, 7, [1]])
    grid.setRuns(1, encode(new Uint8Array(30)))
    expect([grid.count, grid.held.size, grid.painted()]).toEqual([0, 0, []])
  })

  it("looks the same from every side while its frames are folded, and folds what was looked at longest ago", () => {
    const { grid, whole } = filled(9)
    const folded = new Grid(facts, 60) // bytes: two frames
    for (const frame of grid.painted()) folded.setRuns(frame, grid.runs(frame))
    for (const plane of PLANES) {
      const { rows, columns } = planeSize(facts, plane)
      for (let index = 0; index < planeCount(facts, plane); index++) {
        const slice = new Uint8Array(rows * columns).fill(7)
        folded.copyInto(slice, plane, index, [0, 0, columns, rows])
        expect(slice).toEqual(sliceMask(whole, facts, plane, index))
        const part = new Uint8Array(rows * columns)
        folded.copyInto(part, plane, index, [1, 1, 2, 2])
        for (const [x, y] of [[1, 1], [2, 1], [1, 2], [2, 2]]) expect(part[y * columns + x]).toBe(slice[y * columns + x])
      }
    }
    expect([...folded.unfolded]).toEqual([])
    for (const frame of [0, 1, 2, 0, 3]) folded.mask(frame)
    expect([...folded.unfolded]).toEqual([0, 3])
    folded.write(0, 0, 1, 30, 1)
    for (const frame of [1, 2, 3]) folded.mask(frame)
    expect([folded.held.get(0).mask, folded.slice("frame", 0)]).toEqual([null, new Uint8Array(30).fill(1)])
  })

  it("is as it was when a code is corrupt", () => {
    const { grid } = filled(4)
    const [before, count] = [grid.runs(1), grid.count]
    expect(() => grid.setRuns(1, Uint8Array.of(129))).toThrow("cut off")
    expect(() => grid.setRuns(1, encode(new Uint8Array(31)))).toThrow("more pixels than the image")
    expect([grid.runs(1), grid.count]).toEqual([before, count])
  })

  it("knows which slices are painted, in every plane", () => {
    const grid = new Grid(facts)
    grid.write(1, 2 * 6 + 3, 1, 2, 1)
    grid.write(3, 4 * 6 + 3, 1, 1, 1)
    expect(grid.paintedSlices("frame")).toEqual([1, 3])
    expect(grid.paintedSlices("row")).toEqual([2, 4])
    expect(grid.paintedSlices("column")).toEqual([3, 4])
  })

  it("tells which part of a slice changed since it was drawn", () => {
    const grid = new Grid(facts)
    const seen = grid.version
    grid.note({ columns: [2, 4], rows: [1, 2], frames: [1, 3] })
    grid.note({ columns: [4, 5], rows: [3, 4], frames: [1, 2] })
    expect(grid.changedSince(seen, "frame", 1)).toEqual([2, 1, 3, 3])
    expect(grid.changedSince(seen, "frame", 2)).toEqual([2, 1, 2, 1])
    expect(grid.changedSince(seen, "frame", 0)).toBe(null)
    expect(grid.changedSince(seen, "row", 1)).toEqual([2, 1, 2, 2])
    expect(grid.changedSince(seen, "column", 4)).toEqual([3, 1, 1, 1])
    for (let many = 0; many < 300; many++) grid.note({ columns: [0, 1], rows: [0, 1], frames: [0, 1] })
    expect(grid.changedSince(seen, "frame", 1)).toBe(undefined)
  })
})

describe("one act", () => {
  it("names each frame it changed once, as it was and as it is", () => {
    const { grid } = filled(5)
    const before = [1, 2].map((frame) => grid.runs(frame))
    const stroke = new Stroke(grid, "liver")
    stroke.line("row", 2, 1, 0, 6, 1)
    stroke.line("row", 2, 2, 0, 6, 1)
    stroke.line("row", 3, 1, 0, 6, 1)
    const act = stroke.finish()
    expect([...act.before.keys()]).toEqual([1, 2])
    expect([...act.before.values()]).toEqual(before)
    expect(act.after.get(1)).toEqual(encode(grid.mask(1)))
  })

  it("that changes nothing in the end is none", () => {
    const { grid } = filled(6)
    const stroke = new Stroke(grid, "liver")
    const [y, x] = [2, [...grid.slice("frame", 1).subarray(12, 18)].indexOf(0)]
    stroke.line("frame", 1, y, x, x + 1, 1)
    stroke.line("frame", 1, y, x, x + 1, 0)
    expect(stroke.finish()).toBe(null)
  })
})

describe("shapes between slices", () => {
  const size = { rows: 40, columns: 40, tall: 1 }
  const disc = (radius, x = 20, y = 20, tall = 1) =>
    Uint8Array.from({ length: 1600 }, (_, at) => (Math.hypot((at % 40) + 0.5 - x, (Math.floor(at / 40) + 0.5 - y) * tall) < radius ? 1 : 0))

  it("are measured by the exact distance to the outline", () => {
    const draw = random(8)
    const slice = Uint8Array.from({ length: 1600 }, () => (draw() < 0.1 ? 1 : 0))
    for (const tall of [1, 2.5]) {
      const found = signedDistance(slice, { ...size, tall })
      for (let at = 0; at < 1600; at += 7) {
        let nearest = Infinity
        for (let other = 0; other < 1600; other++) {
          if (slice[other] === slice[at]) continue
          nearest = Math.min(nearest, Math.hypot((at % 40) - (other % 40), (Math.floor(at / 40) - Math.floor(other / 40)) * tall))
        }
        expect(found[at]).toBeCloseTo(slice[at] ? nearest - 0.5 : 0.5 - nearest, 4)
      }
    }
  })

  it("grow evenly from a small disc to a large one", () => {
    const between = interpolate(disc(4), disc(16), 3, size)
    expect(between.length).toBe(3)
    between.forEach((slice, step) => {
      const radius = 4 + 3 * (step + 1)
      const area = slice.reduce((sum, value) => sum + value)
      expect(Math.abs(Math.sqrt(area / Math.PI) - radius)).toBeLessThan(0.4)
    })
  })

  it("move from one side to the other where the shapes overlap, and are none where they are far apart", () => {
    const [middle] = interpolate(disc(8, 16), disc(8, 24), 1, size)
    const columns = [...middle.keys()].filter((at) => middle[at]).map((at) => at % 40)
    expect(columns.reduce((sum, x) => sum + x + 0.5) / columns.length).toBeCloseTo(20, 1)
    expect(interpolate(disc(3, 5, 5), disc(3, 35, 35), 1, size)[0].includes(1)).toBe(false)
  })

  it("reach the edge of the image", () => {
    const [middle] = interpolate(new Uint8Array(1600).fill(1), new Uint8Array(1600).fill(1), 1, size)
    expect(middle.reduce((sum, value) => sum + value)).toBe(1600)
  })
})

describe("a connected region", () => {
  it("is what can be reached by sides, and says when it meets the edge", () => {
    const rows = ["........", ".####...", ".#..#...", ".#...#..", ".#####..", "........"]
    const wall = (place) => rows[Math.floor(place / 8)][place % 8] === "#"
    const inside = floodFrom(2, 2, { rows: 6, columns: 8 }, (place) => !wall(place))
    expect([inside.count, inside.meetsEdge, inside.isOver]).toEqual([5, false, false])
    expect(floodFrom(7, 0, { rows: 6, columns: 8 }, (place) => !wall(place))).toMatchObject({ count: 30, meetsEdge: true })
  })

  it("agrees with a slow search on noise", () => {
    const draw = random(11)
    const open = Uint8Array.from({ length: 900 }, () => (draw() < 0.62 ? 1 : 0))
    const start = open.indexOf(1, 450)
    const found = new Uint8Array(900)
    const waiting = [start]
    while (waiting.length) {
      const at = waiting.pop()
      if (!open[at] || found[at]) continue
      found[at] = 1
      if (at % 30 > 0) waiting.push(at - 1)
      if (at % 30 < 29) waiting.push(at + 1)
      if (at >= 30) waiting.push(at - 30)
      if (at < 870) waiting.push(at + 30)
    }
    const region = floodFrom(start % 30, Math.floor(start / 30), { rows: 30, columns: 30 }, (place) => open[place] === 1)
    expect(region.region).toEqual(found)
    expect(region.count).toBe(found.reduce((sum, value) => sum + value))
  })

  it("is not followed beyond its limit", () => {
    const found = floodFrom(0, 0, { rows: 1000, columns: 1000 }, () => true, 5000)
    expect(found.isOver).toBe(true)
    expect(found.count).toBeLessThan(7000)
  })
})

describe("how much is painted", () => {
  it("is told in millilitres where all three spacings are known, in pixels where they are not", () => {
    const known = { frames: 10, spacing_mm: [0.5, 0.8], slice_spacing_mm: 5 }
    expect(amountText(1000, known)).toBe("2 ml")
    expect(amountText(1234567, known)).toBe("2,469 ml")
    expect(amountText(1000, { ...known, slice_spacing_mm: null })).toBe("1,000 px")
    expect(amountText(0, known)).toBe("–")
  })

  it("is an area for one image, at the detector where that is all that is known", () => {
    expect(amountText(100, { frames: 1, spacing_mm: [0.5, 0.5], spacing_at: "patient" })).toBe("25 mm²")
    expect(amountText(100000, { frames: 1, spacing_mm: [0.5, 0.5], spacing_at: "detector" })).toBe("250 cm² at detector")
    expect(amountText(100, { frames: 1 })).toBe("100 px")
    expect([sizeText(15, { spacing_mm: [0.5, 0.5] }), sizeText(15)]).toEqual(["15 px, 7.5 mm", "15 px"])
  })
})
