import { describe, expect, it } from "vitest"

import { random } from "./random.js"
import { paintPixels } from "../src/renderers/canvas.js"
import { isSoftware, preferred } from "../src/renderers/choose.js"
import { Levels, PooledMasks, halved, halvings, isCrisp, poolSizes, visiblePart } from "../src/renderers/levels.js"
import { COLOUR_MAPS, changeOf, colourWords, gradient, heatPicture, resized, valueWords } from "../src/renderers/looks.js"
import { boundsOf, placesOf, seenMask } from "../src/renderers/sheet.js"
import { autoWindow, greyLevels, levelSteps } from "../src/window.js"

const partsOf = (word) => [word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, word >>> 24]

describe("steps between grey levels", () => {
  it.each([
    [40, 400], [2048.3, 4095.7], [1e5, 0.3], [0, 1e-6], [-3.3, 1e30], [0.5, 1], [12.5, 33.7], [-1e-3, 1e-4],
  ])("give every single the level of the window: centre %f, width %f", (centre, width) => {
    const [steps, level, next] = [levelSteps({ centre, width }), greyLevels({ centre, width }, false), random(3)]
    const found = (value) => steps.findLastIndex((step) => value >= step)
    for (let at = 0; at < 3000; at++) {
      const value = Math.fround(centre + (next() - 0.5) * width * 1.2)
      expect(found(value)).toBe(level(value))
    }
    for (const step of steps) if (Number.isFinite(step)) expect(found(step)).toBe(level(step))
  })
})

describe("steps of a sigmoid", () => {
  it("are those of its grey levels", () => {
    const window = { centre: 12.5, width: 33.7, curve: "sigmoid" }
    const [steps, level, next] = [levelSteps(window), greyLevels(window, false), random(3)]
    for (let at = 0; at < 3000; at++) {
      const value = Math.fround(12.5 + (next() - 0.5) * 150)
      expect(steps.findLastIndex((step) => value >= step)).toBe(level(value))
    }
  })
})

describe("the window of floats", () => {
  it("is found by counting as by sorting, also with negative values and few of them", () => {
    const next = random(5)
    for (const count of [1, 2, 7, 20000]) {
      const values = Float32Array.from({ length: count }, () => (next() - 0.6) * 1000)
      const sorted = Float32Array.from(values).sort()
      const [low, high] = [0.1, 99.9].map((percent) => {
        const rank = (percent / 100) * (count - 1)
        const below = sorted[Math.floor(rank)]
        return below + (sorted[Math.min(count - 1, Math.floor(rank) + 1)] - below) * (rank % 1)
      })
      const found = autoWindow({ kind: "f4", channels: 1, values })
      expect(found.centre).toBe((low + high) / 2)
      expect(found.width).toBe(Math.max(high - low, 1e-6))
    }
  })
})

describe("colours", () => {
  const window = { centre: 127.5, width: 255 }

  it("of every map get brighter with the value", () => {
    for (const name of Object.keys(COLOUR_MAPS)) {
      const brightness = Array.from(colourWords(name), (word) => {
        const [red, green, blue, alpha] = partsOf(word)
        expect(alpha).toBe(255)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
      })
      for (let level = 1; level < 256; level++) expect(brightness[level]).toBeGreaterThan(brightness[level - 1] - 1)
      expect(gradient(name)).toMatch(/^linear-gradient\(to right, #\w{6}/)
    }
  })

  it("of an unknown map are grey", () => {
    expect(colourWords("rainbow")).toBe(colourWords("grey"))
  })

  it("follow the window and its inversion", () => {
    const words = valueWords("u1", { window, inverted: true, colourMap: "viridis" })
    expect(partsOf(words[255])).toEqual([0x44, 0x01, 0x54, 255])
    expect(partsOf(words[0])).toEqual([0xfd, 0xe7, 0x25, 255])
  })

  it("are painted for a part of a picture", () => {
    const picture = { rows: 3, columns: 4, channels: 1, kind: "i2", values: Int16Array.from({ length: 12 }, (_, at) => at * 10) }
    const words = new Uint32Array(4)
    paintPixels(picture, { window, inverted: false }, words, [1, 1, 3, 3])
    expect(Array.from(words, (word) => word & 0xff)).toEqual([50, 60, 90, 100])
  })
})

describe("a heat map", () => {
  it("is nothing below its threshold and where it is no number, and opaque at 1", () => {
    const values = new Float32Array(512).fill(0.2)
    values.set([0, 0.5, 1, 3, NaN])
    const { words } = heatPicture({ rows: 1, columns: 512, values, threshold: 0.4 })
    expect(Array.from(words.subarray(0, 6), (word) => word >>> 24)).toEqual([0, 128, 255, 255, 0, 0])
    expect(words[2]).toBe(colourWords("viridis")[255])
  })

  it("that is coarse is drawn finer", () => {
    const { rows, columns } = heatPicture({ rows: 7, columns: 9, values: new Float32Array(63) })
    expect([rows, columns]).toEqual([7 * 57, 9 * 57])
    expect(Array.from(resized([0, 1], 1, 2, 1, 4))).toEqual([0, 0.25, 0.75, 1])
  })
})

describe("a picture smaller than it is", () => {
  const picture = (rows, columns, values, kind = "u2", channels = 1) => ({ key: "one", rows, columns, channels, kind, values })

  it("is halved along each side for as long as no pixel of the screen is left without one of its own", () => {
    expect(halvings([1, 0, 0, 1, 0, 0])).toEqual([0, 0])
    expect(halvings([0.5, 0, 0, 0.51, 0, 0])).toEqual([1, 0])
    expect(halvings([0, 0.24, -2, 0, 0, 0])).toEqual([2, 0])
  })

  it("is an average of all its pixels", () => {
    const values = Uint16Array.from([0, 2, 10, 4, 6, 20])
    expect(Array.from(halved(picture(2, 3, values)).values)).toEqual([3, 15])
    expect(Array.from(halved(picture(2, 3, values), true, false).values)).toEqual([1, 10, 5, 20])
    expect(Array.from(halved(picture(2, 3, values), false, true).values)).toEqual([2, 4, 15])
    expect(Array.from(halved(picture(1, 2, Int16Array.from([-3, -4]), "i2")).values)).toEqual([-3])
    expect(Array.from(halved(picture(1, 2, Float32Array.from([0.5, 1]), "f4")).values)).toEqual([0.75])
    expect(Array.from(halved(picture(1, 2, Uint8Array.from([0, 10, 20, 40, 50, 60]), "u1", 3)).values)).toEqual([20, 30, 40])
  })

  it("is kept for the next time, until there are too many", () => {
    const held = new Levels(200)
    const made = (key) => held.get({ ...picture(16, 16, new Uint8Array(256), "u1"), key }, [1, 1])
    const first = made("a")
    expect(made("a")).toBe(first)
    made("b")
    made("c")
    made("d")
    expect(made("a")).not.toBe(first)
    expect(held.bytes).toBeLessThanOrEqual(200)
    expect(held.get({ ...picture(4, 16, new Uint8Array(64), "u1"), key: "e" }, [3, 1])).toMatchObject({ rows: 2, columns: 2 })
  })

  it("is never crisp, nor where the reader wants it smooth", () => {
    expect(isCrisp({ matrix: [2, 0, 0, 2, 0, 0], smooth: false })).toBe(true)
    expect(isCrisp({ matrix: [2, 0, 0, 0.9, 0, 0], smooth: false })).toBe(false)
    expect(isCrisp({ matrix: [2, 0, 0, 2, 0, 0], smooth: true })).toBe(false)
  })

  it("is painted where it is visible", () => {
    expect(visiblePart({ rows: 100, columns: 200 }, [2, 0, 0, 2, -100, 20], 100, 100)).toEqual([50, 0, 100, 40])
    expect(visiblePart({ rows: 100, columns: 200 }, [0, 2, -2, 0, 50, 0], 100, 100, [0, 0], 3)).toEqual([0, 0, 53, 28])
    expect(visiblePart({ rows: 50, columns: 100 }, [2, 0, 0, 2, -100, 20], 100, 100, [1, 1])).toEqual([25, 0, 50, 20])
  })
})

describe("a mask", () => {
  const layer = (values, rows, columns, version = 1) => ({ key: "one", version, rows, columns, values: Uint8Array.from(values) })

  it("tells what changed since it was drawn, or that all of it may have", () => {
    expect(changeOf({ version: 3 }, 3)).toBe(null)
    expect(changeOf({ version: 4, dirty: [1, 2, 3, 4] }, 3)).toEqual([1, 2, 3, 4])
    expect(changeOf({ version: 7, dirty: [1, 2, 3, 4], since: 3 }, 3)).toEqual([1, 2, 3, 4])
    expect(changeOf({ version: 5, dirty: [1, 2, 3, 4] }, 3)).toBe(undefined)
    expect(changeOf({ version: 4 }, 3)).toBe(undefined)
  })

  it("keeps a single pixel when it is shown small", () => {
    const picture = { rows: 5, columns: 7 }
    const one = layer(Array.from({ length: 35 }, (_, at) => Number(at === 34)), 5, 7)
    expect(poolSizes([0.3, 0, 0, 0.6, 0, 0], one, picture)).toEqual([4, 2])
    const pooled = new PooledMasks()
    const seen = pooled.get(one, [4, 2])
    expect(seen).toMatchObject({ rows: 3, columns: 2, change: undefined })
    expect(Array.from(seen.values)).toEqual([0, 0, 0, 0, 0, 1])
    const next = { ...one, version: 2, values: one.values.slice(), dirty: [1, 0, 1, 2] }
    next.values[1] = 1
    const changed = pooled.get(next, [4, 2])
    expect(changed.change).toEqual([0, 0, 1, 1])
    expect(Array.from(changed.values)).toEqual([1, 0, 0, 0, 0, 1])
    expect(pooled.get(next, [4, 2]).change).toBe(null)
    expect(pooled.get(next, [1, 1])).toMatchObject({ rows: 5, columns: 7, change: undefined, values: next.values })
  })

  it("has bounds", () => {
    expect(boundsOf(layer([0, 0, 0, 0, 1, 1, 0, 0, 1], 3, 3))).toEqual([1, 1, 2, 2])
    expect(boundsOf(layer([0, 0, 0, 0], 2, 2))).toBe(null)
  })

  it("lies on the screen's pixels whose centres are in it, turned and flipped", () => {
    const mask = { rows: 2, columns: 3, step: [1, 1], values: Uint8Array.from([1, 0, 0, 0, 0, 1]) }
    expect(Array.from(seenMask(mask, [1, 0, 0, 1, 1, 0], [0, 0, 5, 2]))).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 1, 0])
    // a quarter turn clockwise: what is on the left comes to the top
    expect(Array.from(seenMask(mask, [0, 1, -1, 0, 2, 0], [0, 0, 2, 3]))).toEqual([0, 1, 0, 0, 1, 0])
    expect(Array.from(seenMask(mask, [-1, 0, 0, 1, 3, 0], [0, 0, 3, 2]))).toEqual([0, 0, 1, 1, 0, 0])
    const [across, down] = placesOf({ rows: 2, columns: 2, step: [2, 2] }, [1, 0, 0, 1, 0, 0], [-1, 0, 5, 4])
    expect([Array.from(across), Array.from(down)]).toEqual([[-1, 0, 0, 1, 1, -1], [0, 0, 2, 2]])
  })
})

describe("the choice of a renderer", () => {
  const memory = (value) => ({ getItem: () => value })

  it("is the address's, then this browser's, and nothing where neither says a known word", () => {
    expect(preferred({ search: "?renderer=gl" }, memory("canvas"))).toBe("gl")
    expect(preferred({ search: "" }, memory("canvas"))).toBe("canvas")
    expect(preferred({ search: "?renderer=webgpu" }, memory(null))).toBe(null)
    expect(preferred(undefined, null)).toBe(null)
  })

  it.each([
    ["ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)", true],
    ["llvmpipe (LLVM 15.0.6, 256 bits)", true],
    ["ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)", true],
    ["ANGLE (Intel, Intel(R) UHD Graphics 630 Direct3D11 vs_5_0 ps_5_0, D3D11)", false],
    ["Apple M2", false],
  ])("knows software: %s", (name, software) => {
    expect(isSoftware(name)).toBe(software)
  })
})
