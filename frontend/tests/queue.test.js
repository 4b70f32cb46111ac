import "fake-indexeddb/auto"
import { IDBFactory } from "fake-indexeddb"
import { beforeEach, describe, expect, it, vi } from "vitest"

import { Queue, ownerOf, stateText } from "../src/queue.js"
import { Store, TabStore, openStore } from "../src/store.js"
import { Tabs } from "../src/tabs.js"

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

  it("keeps what was refused with the reason until its reader has looked at it", async () => {
    const store = await openStore()
    const fetch = answering((events) => [422, { acknowledged: [], refused: events.map(({ event }) => ({ event, reason: "There is no case 9." })) }])
    const queue = new Queue(store, MINE, { fetch })
    await queue.add(event("bad"))
    await queue.flush()
    const [row] = await (await openStore()).listAside(MINE) // after a reload too
    expect([row.event.event, row.reason]).toEqual(["bad", "There is no case 9."])
    expect(await store.listAside(ownerOf("home", "ben"))).toEqual([])
    await store.dropAside([row.place])
    expect(await store.listAside(MINE)).toEqual([])
  })

  it("sends light batches: a stroke may weigh megabytes", async () => {
    const store = await openStore()
    const sizes = []
    const fetch = answering((events) => {
      sizes.push(events.map((one) => one.event))
      return acknowledgeAll(events)
    })
    const queue = new Queue(store, MINE, { fetch })
    queue.batch = { events: 3, bytes: 5000 }
    const heavy = { type: "mask", frames: { 0: "x".repeat(4000) } }
    for (const [name, extra] of [["a", heavy], ["b", {}], ["c", heavy], ["d", {}], ["e", {}], ["f", {}], ["g", { frames: { 0: "x".repeat(9000) } }]]) {
      await store.add(MINE, event(name, extra))
    }
    await queue.flush()
    expect(sizes).toEqual([["a", "b"], ["c", "d", "e"], ["f"], ["g"]])
  })

  it("sends less at once where the server takes less, and puts aside what is too much by itself", async () => {
    const store = await openStore()
    const took = []
    const fetch = vi.fn(async (_, { body }) => {
      const { events } = JSON.parse(body)
      if (events.length > 1 || events[0].event === "huge") return { status: 413, json: async () => ({ reason: "too large" }) }
      took.push(events[0].event)
      const [status, told] = acknowledgeAll(events)
      return { status, json: async () => told }
    })
    const refused = []
    const queue = new Queue(store, MINE, { fetch, onRefused: (one, reason) => refused.push([one.event, reason]) })
    for (const name of ["a", "huge", "b"]) await store.add(MINE, event(name))
    await queue.flush()
    queue.close()
    expect(took).toEqual(["a", "b"])
    expect(refused).toEqual([["huge", "This is more than the server takes at once."]])
  })

  it("says whose events they are, and keeps them while somebody else is signed in on this computer", async () => {
    const store = await openStore()
    const states = []
    const readers = []
    const fetch = answering((events) => {
      readers.push(...events.map((one) => one.reader))
      return [422, { acknowledged: [], refused: events.map(({ event }) => ({ event, reason: "You are signed in as ben; sign in as the other reader. Received: anna" })) }]
    })
    const queue = new Queue(store, MINE, { fetch, onState: (state) => states.push(state) })
    await queue.add(event("a"))
    await queue.flush()
    queue.close()
    expect(readers).toEqual(["anna"])
    expect(states.at(-1)).toMatchObject({ kind: "other reader", waiting: 1 })
    expect(await store.list(MINE)).toHaveLength(1)
    expect(await store.listAside(MINE)).toEqual([])
  })

  it("keeps an event in the tab where the disk refuses it, says so, and sends it all the same", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {})
    const full = { add: async () => { throw new DOMException("full", "QuotaExceededError") }, head: async () => [], count: async () => 0, list: async () => [] }
    const store = new Store(full)
    const fetch = vi.fn().mockRejectedValueOnce(new TypeError("down")).mockImplementation(answering(acknowledgeAll))
    const queue = new Queue(store, MINE, { fetch })
    await queue.add(event("a"))
    await queue.flush()
    expect([store.isDurable, queue.waiting]).toEqual([false, 1])
    await queue.flush()
    queue.close()
    expect([store.isDurable, queue.waiting]).toEqual([true, 0])
  })

  it("of two tabs sends each event once, and both learn that it is saved", async () => {
    const sent = []
    let turn = Promise.resolve()
    const alone = (work) => (turn = turn.then(work)) // what navigator.locks does
    const fetch = answering((events) => {
      sent.push(...events.map((one) => one.event))
      return acknowledgeAll(events)
    })
    const states = [[], []]
    const queues = await Promise.all([0, 1].map(async (at) => new Queue(await openStore(), MINE, { fetch, alone, onState: (state) => states[at].push(state.kind) })))
    queues[0].onStored = (_, receipt) => queues[1].hear(receipt)
    queues[1].onStored = (_, receipt) => queues[0].hear(receipt)
    await Promise.all([queues[0].add(event("a")), queues[1].add(event("b")), queues[0].add(event("c"))])
    await vi.waitFor(() => expect(sent.sort()).toEqual(["a", "b", "c"]))
    await vi.waitFor(() => expect(states.map((kinds) => kinds.at(-1))).toEqual(["saved", "saved"]))
  })

  it("waits when it is signed out, and drops nothing on a fault of the server", async () => {
    for (const [status, kind] of [[401, "signed out"], [500, "refused for now"], [403, "refused for now"]]) {
      const states = []
      const queue = new Queue(new TabStore(), MINE, { fetch: answering(() => [status, {}]), onState: (state) => states.push(state) })
      await queue.add(event("a"))
      await queue.flush()
      queue.close()
      expect(states.at(-1)).toMatchObject({ kind, waiting: 1 })
    }
  })

  it("that cannot be stored now says why, keeps it and sends it when it can", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const held = "Another program holds the database; let it end, then try again. Nothing of this was stored. Received: database is locked"
    const answers = [[503, { reason: held }], [502, "<html>"], [500, {}], [403, { reason: "" }]]
    const fetch = answering((events) => answers.shift() ?? acknowledgeAll(events))
    const states = []
    const queue = new Queue(new TabStore(), MINE, { fetch, onState: (state) => states.push(stateText(state)) })
    await queue.add(event("a"))
    await queue.flush()
    expect(states.at(-1)).toBe("Not saved: Another program holds the database; let it end, then try again, 1 change kept in this browser")
    await queue.flush()
    expect(states.at(-1)).toBe("Not saved: the server is in trouble, 1 change kept in this browser")
    for (const status of [500, 403]) {
      await queue.flush()
      expect(states.at(-1), status).toBe("Not saved: the server is in trouble, 1 change kept in this browser")
    }
    await vi.advanceTimersByTimeAsync(9000)
    expect(states.at(-1)).toMatch(/^Saved /)
    queue.close()
    vi.useRealTimers()
  })

  it("drops nothing when the answer of the server speaks of other events only", async () => {
    const store = await openStore()
    const states = []
    const fetch = answering(() => [200, { acknowledged: [{ event: "z", label: 1, stored_at: "2026-11-22T10:42:03Z" }] }])
    const queue = new Queue(store, MINE, { fetch, onState: (state) => states.push(stateText(state)) })
    await queue.add(event("a"))
    await queue.flush()
    queue.close()
    expect(await store.list(MINE)).toHaveLength(1)
    expect(states.at(-1)).toBe("Not saved: the server is in trouble, 1 change kept in this browser")
  })

  it("counts what waits in words", () => {
    expect(stateText({ kind: "offline", waiting: 3 })).toBe("Not saved: no connection, 3 changes kept in this browser")
    expect(stateText({ kind: "signed out", waiting: 1 })).toBe("Not saved: signed out, 1 change kept in this browser")
    expect(stateText({ kind: "saved", at: "2026-11-22T10:42:03.123" })).toBe("Saved 10:42:03")
    expect(stateText({ kind: "idle", waiting: 0 })).toBe("")
  })
})

describe("tabs of one reader", () => {
  it("tell each other what was said, and those of another reader hear nothing", async () => {
    const heard = []
    const [first, second, other] = [MINE, MINE, ownerOf("home", "ben")].map((owner) => new Tabs(owner))
    for (const tabs of [second, other]) tabs.listen((news) => heard.push(news))
    first.tell({ said: { event: "a" } })
    await vi.waitFor(() => expect(heard).toEqual([{ said: { event: "a" } }]))
    for (const tabs of [first, second, other]) tabs.close()
  })
})
