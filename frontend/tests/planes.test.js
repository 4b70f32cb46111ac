import { describe, expect, it } from "vitest"

import { PLANES, fromVoxel, pictureOf, planeCount, planeSize, sliceMask, toVoxel, writeSlice } from "../src/planes.js"
import { Volume } from "../src/frames.js"

const dims = { frames: 2, rows: 3, columns: 4 }
const facts = { ...dims, channels: 1, pixels: "/p/a.npy", spacing_mm: [0.5, 0.25], slice_spacing_mm: 2 }
// Each voxel holds its own address, as np.arange(24).reshape(2, 3, 4) does: 12 * frame + 4 * row + column.
const values = Uint8Array.from({ length: 24 }, (_, at) => at)

describe("a plane", () => {
  it("has the size of what it cuts, and pixels true to scale", () => {
    expect(planeSize(facts, "frame")).toEqual({ rows: 3, columns: 4, tall: 2 })
    expect(planeSize(facts, "row")).toEqual({ rows: 2, columns: 4, tall: 8 })
    expect(planeSize(facts, "column")).toEqual({ rows: 2, columns: 3, tall: 4 })
    expect(PLANES.map((plane) => planeCount(facts, plane))).toEqual([2, 3, 4])
  })

  it("is square where spacing is unknown", () => {
    const unknown = { ...facts, spacing_mm: null, slice_spacing_mm: null }
    expect(PLANES.map((plane) => planeSize(unknown, plane).tall)).toEqual([1, 1, 1])
    expect(planeSize({ ...facts, slice_spacing_mm: null }, "row").tall).toBe(1)
  })

  it("leads to a voxel and back", () => {
    for (const plane of PLANES) {
      const voxel = toVoxel(plane, 1, 2.25, 0.75)
      expect(fromVoxel(plane, ...voxel)).toEqual({ index: 1, x: 2.25, y: 0.75 })
    }
    expect(toVoxel("frame", 5, 1.2, 3.4).map(Math.floor)).toEqual([1, 3, 5])
    expect(toVoxel("row", 5, 1.2, 3.4).map(Math.floor)).toEqual([1, 5, 3])
    expect(toVoxel("column", 5, 1.2, 3.4).map(Math.floor)).toEqual([5, 1, 3])
  })

  it("holds the voxels that NumPy's volume[k], volume[:, r], volume[:, :, c] hold", () => {
    expect([...sliceMask(values, dims, "frame", 1)]).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
    expect([...sliceMask(values, dims, "row", 2)]).toEqual([8, 9, 10, 11, 20, 21, 22, 23])
    expect([...sliceMask(values, dims, "column", 1)]).toEqual([1, 5, 9, 13, 17, 21])
  })

  it("written back is what was cut, and nothing else changes", () => {
    for (const plane of PLANES) {
      const mask = new Uint8Array(24)
      const { rows, columns } = planeSize(facts, plane)
      writeSlice(mask, dims, plane, 1, new Uint8Array(rows * columns).fill(1))
      expect([...sliceMask(mask, dims, plane, 1)].every((value) => value === 1)).toBe(true)
      expect(mask.reduce((sum, value) => sum + value)).toBe(rows * columns)
    }
  })

  it("of a volume that is coming in has another key with every frame, and one in colour keeps its channels", () => {
    const volume = new Volume({ ...facts, channels: 3 })
    expect(pictureOf(volume, "row", 0)).toBe(null)
    volume.put(0, { kind: "u1", shape: [3, 4, 3], values: Uint8Array.from({ length: 36 }, (_, at) => at) })
    const before = pictureOf(volume, "column", 1)
    expect([...before.values.slice(0, 9)]).toEqual([3, 4, 5, 15, 16, 17, 27, 28, 29])
    volume.put(1, { kind: "u1", shape: [3, 4, 3], values: new Uint8Array(36).fill(7) })
    const after = pictureOf(volume, "column", 1)
    expect(after.key).not.toBe(before.key)
    expect(pictureOf(volume, "column", 1).key).toBe(after.key)
    expect(after.values[9]).toBe(7)
  })
})
