// How long an explanation is waited for: as long as somebody works on it.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"

import { Explanations } from "../src/overlay.js"

const ASKED = { model: 4, case: 7, class: "pneumonia", method: "rise" }
let job

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-26T10:00:00Z") })
  job = { job: 3, state: "queued", note: "", silent_seconds: 1 }
  globalThis.fetch = vi.fn(async () => ({ ok: true, status: 200, json: async () => job }))
})

afterEach(() => vi.useRealTimers())

function waiting() {
  const told = { notes: [], url: null, error: null }
  new Explanations().ask(ASKED, (note) => told.notes.push(note)).then(
    (answer) => (told.url = answer.url),
    (error) => (told.error = error.message),
  )
  return told
}

describe("an explanation that takes minutes", () => {
  it("is waited for, with the job's own word, until it is there", async () => {
    const told = waiting()
    await vi.advanceTimersByTimeAsync(20_000)
    expect([...new Set(told.notes)]).toEqual(["Waiting for the worker", "Waiting for other work to end"])
    job = { ...job, state: "running", note: "Asking the model, 240 s left" }
    await vi.advanceTimersByTimeAsync(500_000)
    expect([told.notes.at(-1), told.error]).toEqual(["Asking the model, 240 s left", null])
    job = { url: "/api/v1/explanations/k.npy" }
    await vi.advanceTimersByTimeAsync(2000)
    expect(told.url).toBe("/api/v1/explanations/k.npy")
  })

  it("is given up when neither worker nor job was heard for a minute", async () => {
    const told = waiting()
    job = { ...job, silent_seconds: null }
    await vi.advanceTimersByTimeAsync(50_000)
    expect(told.error).toBe(null) // a worker that is started anew
    await vi.advanceTimersByTimeAsync(15_000)
    expect(told.error).toBe("The worker does not answer. Is it running?")
  })

  it("is given up where a worker is there and hangs", async () => {
    const told = waiting()
    await vi.advanceTimersByTimeAsync(300_000)
    job = { ...job, silent_seconds: 61 }
    await vi.advanceTimersByTimeAsync(2000)
    expect(told.error).toBe(null) // it was heard by us two seconds ago, whatever the server's clock says
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told.error).toBe("The worker does not answer. Is it running?")
  })
})
