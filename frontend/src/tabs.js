// Two tabs of one reader: one of them sends at a time, and each learns what the other said.

/** What runs in one tab at a time. Without locks (plain HTTP) both may send: an event is stored once all the same. */
export function aloneBy(name) {
  if (!globalThis.navigator?.locks) return (work) => work()
  return (work) => navigator.locks.request(`readroom ${name}`, work)
}

/** Talks to the reader's other tabs. */
export class Tabs {
  /** @param {string} owner see queue.js */
  constructor(owner, Channel = globalThis.BroadcastChannel) {
    this.listeners = new Set()
    this.channel = Channel ? new Channel(`readroom ${owner}`) : null
    if (this.channel) this.channel.onmessage = ({ data }) => this.listeners.forEach((listen) => listen(data))
  }

  /** @param {{said?: object, stored?: object, receipt?: object, refused?: object, reason?: string}} news */
  tell(news) {
    this.channel?.postMessage(news)
  }

  /** Returns how to stop listening. */
  listen(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  close() {
    this.channel?.close()
  }
}
