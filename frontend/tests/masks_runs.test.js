import { describe, expect, it } from "vitest"

import { MaskError, countOnes, decode, emptyRuns, encode, fromBase64, toBase64 } from "../src/masks/runs.js"
import { random } from "./random.js"

// Vitest compares large arrays element by element, with a report in mind.
const isSame = (one, other) => Buffer.compare(one, other) === 0

function speckled(size, share, seed = 1) {
  const draw = random(seed)
  return Uint8Array.from({ length: size }, () => (draw() < share ? 1 : 0))
}

describe("the run-length code of a mask", () => {
  it("begins with the zeros, which may be none, and has LEB128 lengths", () => {
    expect([...encode(Uint8Array.of(0, 0, 1, 1, 1, 0))]).toEqual([2, 3, 1])
    expect([...encode(Uint8Array.of(1, 0))]).toEqual([0, 1, 1])
    expect([...encode(new Uint8Array(300))]).toEqual([0xac, 2])
    expect([...encode(new Uint8Array(300).fill(1))]).toEqual([0, 0xac, 2])
    expect([...emptyRuns(300)]).toEqual([0xac, 2])
  })

  it("gives back the mask bit for bit, whatever it is and wherever it lies in memory", () => {
    for (const share of [0, 0.001, 0.1, 0.5, 0.999, 1]) {
      for (const size of [1, 2, 3, 5, 63, 64, 1000, 4097]) {
        const mask = speckled(size, share, size)
        expect(isSame(decode(fromBase64(toBase64(encode(mask))), size), mask)).toBe(true)
        const shifted = new Uint8Array(size + 1)
        shifted.set(mask, 1)
        expect(isSame(encode(shifted.subarray(1)), encode(mask))).toBe(true)
        expect(countOnes(encode(mask), size)).toBe(mask.reduce((sum, value) => sum + value, 0))
      }
    }
  })

  it("keeps runs that begin and end beside the words that are compared at once", () => {
    for (let from = 0; from < 12; from++) {
      for (let to = from; to < 12; to++) {
        const mask = new Uint8Array(12).fill(1, from, to)
        expect(decode(encode(mask), 12)).toEqual(mask)
      }
    }
  })

  it("is refused when it is cut off, too long or no code at all", () => {
    const runs = encode(speckled(1000, 0.2))
    expect(() => decode(runs.subarray(0, runs.length - 1), 1000)).toThrow(MaskError)
    expect(() => decode(Uint8Array.of(0x80), 1000)).toThrow("cut off")
    expect(() => decode(runs, 999)).toThrow("more pixels than the image")
    expect(() => decode(runs, 1001)).toThrow("1000 pixels of 1001")
    expect(() => decode(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 127), 1000)).toThrow(MaskError)
    expect(() => fromBase64("%%%")).toThrow(MaskError)
  })

  it("takes a few milliseconds for 2048 x 2048", () => {
    const mask = new Uint8Array(2048 * 2048)
    for (let row = 300; row < 1700; row++) mask.fill(1, row * 2048 + 400, row * 2048 + 400 + row)
    encode(mask)
    const begun = performance.now()
    const runs = encode(mask)
    const encoded = performance.now()
    expect(isSame(decode(runs, mask.length), mask)).toBe(true)
    expect(encoded - begun).toBeLessThan(400) // about 3 on an idle machine; byte by byte it would be 20
  })
})
