// One queue for each reader of this page. It lives as long as the page, not as the viewer:
// whoever leaves the label page right after the last answer still gets it sent.

import { Queue, ownerOf } from "./queue.js"
import { openStore } from "./store.js"
import { Tabs, aloneBy } from "./tabs.js"

const queues = new Map() // owner -> promise of a queue
let store = null

/** The queue of a reader on a server, with what an earlier page left already being sent; `tabs` are the reader's others. */
export function queueOf(server, reader) {
  const owner = ownerOf(server, reader)
  if (!queues.has(owner)) queues.set(owner, makeQueue(owner))
  return queues.get(owner)
}

async function makeQueue(owner) {
  store ??= openStore()
  const queue = new Queue(await store, owner, { alone: aloneBy(owner) })
  queue.tabs = new Tabs(owner)
  queue.tabs.listen((news) => news.receipt && queue.hear(news.receipt))
  window.addEventListener("online", () => queue.flush())
  // Signing in happens in another tab: coming back is the moment to try again.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && queue.flush())
  window.addEventListener("beforeunload", (event) => {
    if (queue.waiting) event.preventDefault()
  })
  return queue
}
