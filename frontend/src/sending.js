// One queue for each reader of this page. It lives as long as the page, not as the viewer:
// whoever leaves the label page right after the last answer still gets it sent.

import { Queue, ownerOf } from "./queue.js"
import { openStore } from "./store.js"

const queues = new Map() // owner -> promise of a queue
let store = null

/** The queue of a reader on a server, with what an earlier page left already being sent. */
export function queueOf(server, reader) {
  const owner = ownerOf(server, reader)
  if (!queues.has(owner)) queues.set(owner, makeQueue(owner))
  return queues.get(owner)
}

async function makeQueue(owner) {
  store ??= openStore()
  const queue = new Queue(await store, owner)
  window.addEventListener("online", () => queue.flush())
  // Signing in happens in another tab: coming back is the moment to try again.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && queue.flush())
  window.addEventListener("beforeunload", (event) => {
    if (queue.waiting) event.preventDefault()
  })
  return queue
}
