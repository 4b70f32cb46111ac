import { describe, expect, it, vi } from "vitest"

import { Cases } from "../src/cases.js"
import { Volume } from "../src/frames.js"

const facts = (frames) => ({ id: 1, pixels: "/api/v1/pixels/a.npy", frames, rows: 2, columns: 3, channels: 1 })
const settle = () => new Promise((resolve) => setTimeout(resolve))

/** A server whose answers the test gives one by one; `asked` holds [frame, signal] in the order of the requests. */
function slowly() {
  const asked = []
  const waiting = new Map()
  const load = (frame, signal) =>
    new Promise((resolve, reject) => {
      asked.push([frame, signal])
      waiting.set(frame, { resolve, reject })
      signal.addEventListener("abort", () => reject(signal.reason))
    })
  const answer = (frame, values = new Int16Array(6).fill(frame)) => {
    waiting.get(frame).resolve({ kind: "i2", shape: [2, 3], values })
    return settle()
  }
  const refuse = (frame, error) => {
    waiting.get(frame).reject(error)
    return settle()
  }
  return { load, asked, answer, refuse, frames: () => asked.map(([frame]) => frame) }
}

describe("a volume", () => {
  it("loads around the frame that is looked at, the nearest first, a few at once, until all is there", async () => {
    const server = slowly()
    const volume = new Volume(facts(9), server.load)
    volume.focus(4)
    expect(server.frames()).toEqual([4, 5, 3, 6])
    await server.answer(4)
    expect(server.frames().at(-1)).toBe(2)
    for (const frame of [5, 3, 6, 2, 7, 1, 8, 0]) await server.answer(frame)
    expect(server.frames()).toEqual([4, 5, 3, 6, 2, 7, 1, 8, 0])
    expect(volume.isComplete()).toBe(true)
    expect([...volume.values].filter((_, at) => at % 6 === 0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(volume.at(3).values).toEqual(new Int16Array(6).fill(3))
  })

  it("gives up what has become far away, and never what somebody waits for", async () => {
    const server = slowly()
    const volume = new Volume(facts(300), server.load)
    const waited = volume.frame(2)
    volume.focus(0)
    volume.focus(200)
    expect(server.asked.filter(([, signal]) => signal.aborted).map(([frame]) => frame)).toEqual([0, 1, 3])
    expect(server.frames().slice(-3)).toEqual([200, 201, 199])
    await server.answer(2)
    expect((await waited).key).toBe("/api/v1/pixels/a.npy:2")
  })

  it("asks for nothing more once nobody looks, and goes on when somebody does", async () => {
    const server = slowly()
    const volume = new Volume(facts(9), server.load)
    volume.focus(0)
    volume.rest()
    await settle()
    expect(server.asked).toHaveLength(4)
    expect(server.asked.every(([, signal]) => signal.aborted)).toBe(true)
    volume.focus(0)
    expect(server.frames().slice(4)).toEqual([0, 1, 2, 3])
  })

  it("tells of every frame that came and of one that did not, and tries that one again at the next look", async () => {
    const server = slowly()
    const volume = new Volume(facts(2), server.load)
    const told = []
    volume.onLoaded((frame, error) => told.push([frame, error?.message]))
    volume.focus(0)
    await server.answer(1)
    await server.refuse(0, new Error("gone"))
    expect(told).toEqual([[1, undefined], [0, "gone"]])
    expect(server.asked).toHaveLength(2)
    volume.focus(0)
    expect(server.frames()).toEqual([0, 1, 0])
  })

  it("refuses a frame that is not of its size", async () => {
    const server = slowly()
    const volume = new Volume(facts(2), server.load)
    const waited = volume.frame(0)
    server.answer(0, new Int16Array(6))
    await waited
    expect(() => volume.put(1, { kind: "i2", shape: [3, 3], values: new Int16Array(9) })).toThrow("3 × 3")
    expect(() => volume.put(1, { kind: "u1", shape: [2, 3], values: new Uint8Array(6) })).toThrow("u1")
  })

  it("of one frame is that array itself, without a copy", () => {
    const values = new Float32Array(6)
    const volume = new Volume(facts(1))
    volume.put(0, { kind: "f4", shape: [2, 3], values })
    expect(volume.at(0).values.buffer).toBe(values.buffer)
  })
})

describe("cases", () => {
  const loaded = (size) => ({ facts: {}, volume: { bytes: size, rest: vi.fn() } })

  it("that were used longest ago are given up first", async () => {
    const cases = new Cases(vi.fn(async () => loaded(40)), 100)
    for (const id of [1, 2, 1, 3]) await cases.get(id)
    expect([...cases.held.keys()]).toEqual([1, 3])
    expect(cases.bytes).toBe(80)
  })

  it("that are on the screen are never given up", async () => {
    const cases = new Cases(vi.fn(async () => loaded(90)), 100)
    const first = await cases.get(1)
    cases.shown = new Set([1])
    const second = await cases.get(2)
    await cases.get(3)
    expect([...cases.held.keys()]).toEqual([1, 3])
    expect(first.volume.rest).not.toHaveBeenCalled()
    expect(second.volume.rest).toHaveBeenCalled()
  })

  it("that grow while they load push out others", async () => {
    const growing = new Volume(facts(3), async () => ({ kind: "i2", shape: [2, 3], values: new Int16Array(6) }))
    const cases = new Cases(async (id) => (id === 1 ? loaded(90) : { facts: {}, volume: growing }), 100)
    await cases.get(1)
    await cases.get(2)
    growing.focus(0)
    await vi.waitFor(() => expect(growing.isComplete()).toBe(true))
    expect([...cases.held.keys()]).toEqual([2])
  })

  it("that could not be loaded are asked for again", async () => {
    const load = vi.fn().mockRejectedValueOnce(new Error("down")).mockResolvedValue(loaded(1))
    const cases = new Cases(load)
    await expect(cases.get(1)).rejects.toThrow("down")
    await expect(cases.get(1)).resolves.toBeTruthy()
  })

  it("around the one on the screen are there before they are asked for", async () => {
    const load = vi.fn(async () => loaded(1))
    const cases = new Cases(load)
    await cases.get(12)
    cases.prefetch([10, 11, 12, 13, 14, 15], 2)
    await vi.waitFor(() => expect([11, 13, 14, 15].every((id) => cases.isReady(id))).toBe(true))
    expect(load).toHaveBeenCalledTimes(5)
  })
})
