import "fake-indexeddb/auto"
import { IDBFactory } from "fake-indexeddb"
import { beforeEach, describe, expect, it, vi } from "vitest"

import { Queue, ownerOf, stateText } from "../src/queue.js"
import { TabStore, openStore } from "../src/store.js"

const MINE = ownerOf("home", "anna")
const event = (name, extra = {}) => ({ event: name, case: 1, value: { classes: ["normal"] }, ...extra })

function answering(respond) {
  return vi.fn(async (_, { body }) => {
    const [status, told] = respond(JSON.parse(body).events)
    return { status, json: async () => told }
  })
}

const acknowledgeAll = (events) => [
  200,
  { acknowledged: events.map(({ event }) => ({ event, label: 7, stored_at: "2026-11-22T10:42:03.000Z" })), refused: [] },
]

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory()
})

describe("the queue", () => {
  it("lets go of an answer only when the server has acknowledged it", async () => {
    const store = await openStore()
    const fetch = answering(acknowledgeAll)
    const stored = []
    const queue = new Queue(store, MINE, { fetch, onStored: (one, receipt) => stored.push([one.event, receipt.label]) })
    await queue.add(event("a"))
    expect(await store.list(MINE)).toHaveLength(1) // kept before it is sent
    await queue.flush()
    expect(stored).toEqual([["a", 7]])
    expect(await store.list(MINE)).toEqual([])
  })

  it("keeps an answer over a reload of the page and sends it then", async () => {
    const down = new Queue(await openStore(), MINE, { fetch: vi.fn().mockRejectedValue(new TypeError("down")) })
    await down.add(event("a"))
    await down.flush()
    down.close()
    const fetch = answering(acknowledgeAll)
    const next = new Queue(await openStore(), MINE, { fetch })
    expect((await next.pending()).map((one) => one.event)).toEqual(["a"])
    await next.flush()
    expect(await next.pending()).toEqual([])
  })

  it("never sends one reader's answers as another's", async () => {
    const store = await openStore()
    await store.add(ownerOf("home", "ben"), event("b"))
    await store.add(ownerOf("other home", "anna"), event("c"))
    const fetch = answering(acknowledgeAll)
    const queue = new Queue(store, MINE, { fetch })
    await queue.flush()
    expect(fetch).not.toHaveBeenCalled()
    expect(await store.list(ownerOf("home", "ben"))).toHaveLength(1)
  })

  it("sends again after a failure, the same event under the same id", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const ids = []
    let working = false
    const fetch = vi.fn(async (_, { body }) => {
      const { events } = JSON.parse(body)
      ids.push(...events.map((one) => one.event))
      if (!working) throw new TypeError("down")
      const [status, told] = acknowledgeAll(events)
      return { status, json: async () => told }
    })
    const states = []
    const queue = new Queue(new TabStore(), MINE, { fetch, onState: (state) => states.push(state.kind) })
    await queue.add(event("a"))
    await queue.flush()
    expect(states.at(-1)).toBe("offline")
    working = true
    await vi.advanceTimersByTimeAsync(2000)
    expect(ids).toEqual(["a", "a"])
    expect(states.at(-1)).toBe("saved")
    vi.useRealTimers()
  })

  it("puts a refused answer aside and goes on with the others", async () => {
    const store = await openStore()
    const fetch = answering((events) => [
      422,
      {
        acknowledged: events.filter((one) => one.event !== "bad").map((one) => ({ event: one.event, label: 1, stored_at: "2026-11-22T10:42:03Z" })),
        refused: [{ event: "bad", reason: "There is no case 9." }],
      },
    ])
    const refused = []
    const queue = new Queue(store, MINE, { fetch, onRefused: (one, reason) => refused.push(reason) })
    await store.add(MINE, event("bad"))
    await queue.add(event("good"))
    await queue.flush()
    expect(refused).toEqual(["There is no case 9."])
    expect(await store.list(MINE)).toEqual([])
    expect(await queue.pending()).toEqual([])
  })

  it("waits when it is signed out, and drops nothing on a fault of the server", async () => {
    for (const [status, kind] of [[401, "signed out"], [500, "offline"], [403, "offline"]]) {
      const states = []
      const queue = new Queue(new TabStore(), MINE, { fetch: answering(() => [status, {}]), onState: (state) => states.push(state) })
      await queue.add(event("a"))
      await queue.flush()
      queue.close()
      expect(states.at(-1)).toMatchObject({ kind, waiting: 1 })
    }
  })

  it("counts what waits in words", () => {
    expect(stateText({ kind: "offline", waiting: 3 })).toBe("Not saved: no connection, 3 changes kept in this browser")
    expect(stateText({ kind: "signed out", waiting: 1 })).toBe("Not saved: signed out, 1 change kept in this browser")
    expect(stateText({ kind: "saved", at: "2026-11-22T10:42:03.123" })).toBe("Saved 10:42:03")
    expect(stateText({ kind: "idle", waiting: 0 })).toBe("")
  })
})
