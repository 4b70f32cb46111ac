// What the open case is asked for while it is open: others' answers, new classes, a case that is gone.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"

import { Cases, getOwn } from "../src/cases.js"
import { fetchGrid } from "../src/masks/stored.js"
import { Watch } from "../src/watch.js"

const told = { id: 7, schema_version: 2, others: [] }
let answer

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-26T10:00:00Z") })
  globalThis.document = { visibilityState: "visible" }
  answer = { ok: true, status: 200, json: async () => ({ ...told }) }
  globalThis.fetch = vi.fn(async () => answer)
})

afterEach(() => {
  vi.useRealTimers()
  delete globalThis.document
})

function watching() {
  const heard = { facts: [], gone: [] }
  const watch = new Watch({ onFacts: (facts) => heard.facts.push(facts), onGone: (error) => heard.gone.push(error.message) })
  return { watch, heard }
}

describe("the open case", () => {
  it("is asked for anew when its facts are old, and every quarter of a minute while the tab is seen", async () => {
    const { watch, heard } = watching()
    const facts = { ...told, schema_version: 1 }
    expect(await watch.enter(facts, Date.now() - 60_000, true)).toBe(true)
    expect(facts.schema_version).toBe(2) // in place: whoever holds the facts has the new ones
    await vi.advanceTimersByTimeAsync(15_000)
    expect(heard.facts).toHaveLength(2)
    document.visibilityState = "hidden"
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetch).toHaveBeenCalledTimes(2)
    watch.leave()
  })

  it("is not asked for when its facts are fresh, and not any more once it is left", async () => {
    const { watch } = watching()
    await watch.enter({ ...told }, Date.now(), true)
    watch.leave()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetch).not.toHaveBeenCalled()
  })

  it("takes nothing from what is told to somebody else who has signed in in this browser", async () => {
    const { watch, heard } = watching()
    answer = { ok: true, status: 200, json: async () => ({ ...told, reader: "ben", my_label: { value: { classes: ["cat"] } } }) }
    const facts = { ...told, reader: "anna", my_label: null }
    expect(await watch.enter(facts, 0, true)).toBe(false)
    expect(facts).toEqual({ ...told, reader: "anna", my_label: null })
    expect(heard).toEqual({ facts: [], gone: [] })
    watch.leave()
  })

  it("that was got under another sign-in is asked for anew, and refused while the other is signed in", async () => {
    const readers = ["ben", "anna", "ben", "ben"]
    const cases = new Cases(async (id) => ({ facts: { id, reader: readers.shift() }, volume: { bytes: 1 } }))
    expect((await getOwn(cases, 7, "anna")).facts.reader).toBe("anna")
    expect((await getOwn(cases, 7, "anna")).facts.reader).toBe("anna")
    expect(readers).toHaveLength(2) // what is one's own is not asked for again
    await expect(getOwn(cases, 8, "anna")).rejects.toThrow("You are signed in as ben in this browser. Sign in as anna")
  })

  it("shows no mask of somebody else as one's own", async () => {
    const mask = { rows: 1, columns: 2, frames_total: 1, frames: {}, reader: "ben" }
    answer = { ok: true, status: 200, json: async () => mask }
    const facts = { id: 7, rows: 1, columns: 2, frames: 1, reader: "anna" }
    await expect(fetchGrid(facts, "liver", null)).rejects.toThrow("It is ben's")
    expect((await fetchGrid(facts, "liver", "ben")).count).toBe(0)
    mask.reader = "anna"
    expect((await fetchGrid(facts, "liver", null)).count).toBe(0)
  })

  it("that is deleted is said; no connection is no deletion", async () => {
    const { watch, heard } = watching()
    answer = { ok: false, status: 503, json: async () => ({}) }
    expect(await watch.enter({ ...told }, 0, true)).toBe(false)
    fetch.mockRejectedValueOnce(new TypeError("down"))
    expect(await watch.ask()).toBe(false)
    expect(heard.gone).toEqual([])
    answer = { ok: false, status: 404, json: async () => ({ reason: "There is no case 7." }) }
    await watch.ask()
    expect(heard.gone).toEqual(["There is no case 7."])
    watch.leave()
  })

  it("says once who has answered it since the page was opened", () => {
    const { watch } = watching()
    const others = [
      { reader: "ben", answered_at: "2026-11-26T10:05:00.000Z" },
      { reader: "cleo", answered_at: "2026-11-26T09:00:00.000Z" },
      { reader: "dan", answered_at: null },
    ]
    expect(watch.newsOf({ id: 7, others })).toBe("ben has answered this case meanwhile.")
    expect(watch.newsOf({ id: 7, others })).toBe("")
    others[0].answered_at = "2026-11-26T10:06:00.000Z" // again
    others[1].answered_at = "2026-11-26T10:06:00.000Z"
    expect(watch.newsOf({ id: 7, others })).toBe("ben and cleo have answered this case meanwhile.")
    expect(watch.newsOf({ id: 8 })).toBe("")
  })
})
