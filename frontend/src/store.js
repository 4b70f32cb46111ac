// Where answers wait until the server has them, and what can be taken back: IndexedDB, so that both outlive a reload,
// a crash and a night.

const DATABASE = "readroom"
const VERSION = 2
const EVENTS = "events"
const REFUSED = "refused"
const ACTS = "acts"

/** Opens the browser's database; where a browser denies it (a private window, a full disk), memory has to do. */
export async function openStore() {
  try {
    return new Store(new DurableStore(await openDatabase()))
  } catch (error) {
    console.warn("This browser keeps no data; answers wait in this tab only.", error)
    return new Store(null)
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION)
    request.onupgradeneeded = () => {
      const had = request.result.objectStoreNames
      for (const name of [EVENTS, REFUSED, ACTS]) {
        if (had.contains(name)) continue
        request.result.createObjectStore(name, { keyPath: "place", autoIncrement: true }).createIndex("owner", "owner")
      }
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error("another tab holds an older database"))
  })
}

/**
 * Events on disk, and in memory where the disk refuses one: nothing that was said is dropped because a quota is full.
 * Rows in memory have a negative `place`.
 */
export class Store {
  constructor(durable) {
    this.durable = durable
    this.tab = new TabStore()
  }

  /** Whether all that waits would outlive this tab. */
  get isDurable() {
    return Boolean(this.durable) && this.tab.rows.length === 0
  }

  /** Resolves when the event is kept. */
  async add(owner, event) {
    const bytes = sizeOf(event)
    try {
      if (this.durable) return await this.durable.add(owner, event, bytes)
    } catch (error) {
      console.warn("The browser could not keep an event on disk; it waits in this tab.", error)
    }
    await this.tab.add(owner, event, bytes)
  }

  /** The oldest events of an owner, at most so many and so many bytes of them, but one at least. */
  async head(owner, most) {
    const rows = (await this.durable?.head(owner, most)) ?? []
    return rows.length ? rows : this.tab.head(owner, most)
  }

  async count(owner) {
    return ((await this.durable?.count(owner)) ?? 0) + this.tab.count(owner)
  }

  /** The owner's events in the order they were made, each with its `place`. */
  async list(owner) {
    return [...((await this.durable?.list(EVENTS, owner)) ?? []), ...this.tab.list(owner)]
  }

  async remove(places) {
    const onDisk = places.filter((place) => place > 0)
    if (onDisk.length) await this.durable.remove(EVENTS, onDisk)
    this.tab.remove(places)
  }

  /** Out of the way of the others, but kept: a refused answer is still somebody's work. */
  async putAside(row, reason) {
    if (row.place > 0) await this.durable.putAside(row, reason)
    else this.tab.putAside(row, reason)
  }

  async listAside(owner) {
    return [...((await this.durable?.list(REFUSED, owner)) ?? []), ...this.tab.listAside(owner)]
  }

  async dropAside(places) {
    const onDisk = places.filter((place) => place > 0)
    if (onDisk.length) await this.durable.remove(REFUSED, onDisk)
    this.tab.dropAside(places)
  }

  // ---- what can be taken back; losing it loses no answer, so memory alone will do

  async addAct(owner, act, bytes) {
    return this.durable?.addAct(owner, act, bytes)
  }

  async listActs(owner) {
    return (await this.durable?.list(ACTS, owner)) ?? []
  }

  async putAct(row) {
    await this.durable?.put(ACTS, row)
  }

  async removeActs(places) {
    await this.durable?.remove(ACTS, places)
  }
}

/** How many bytes an event takes on its way: names and JSON are plain letters, runs are base64. */
export function sizeOf(event) {
  return JSON.stringify(event).length
}

function settled(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("The browser gave the transaction up."))
  })
}

class DurableStore {
  constructor(database) {
    this.database = database
    database.onversionchange = () => database.close()
  }

  async add(owner, event, bytes) {
    await this.write(EVENTS, (events) => events.add({ owner, event, bytes }))
  }

  async head(owner, { events: most, bytes: mostBytes }) {
    const rows = []
    let bytes = 0
    const transaction = this.database.transaction(EVENTS, "readonly")
    // Within one owner the index goes by `place`, so the oldest come first and the rest is never read.
    const request = transaction.objectStore(EVENTS).index("owner").openCursor(IDBKeyRange.only(owner))
    request.onsuccess = () => {
      const cursor = request.result
      if (!cursor) return
      const size = cursor.value.bytes ?? sizeOf(cursor.value.event)
      if (rows.length && bytes + size > mostBytes) return
      rows.push(cursor.value)
      bytes += size
      if (rows.length < most) cursor.continue()
    }
    await settled(transaction)
    return rows
  }

  async count(owner) {
    const transaction = this.database.transaction(EVENTS, "readonly")
    const request = transaction.objectStore(EVENTS).index("owner").count(owner)
    await settled(transaction)
    return request.result
  }

  async list(name, owner) {
    const transaction = this.database.transaction(name, "readonly")
    const request = transaction.objectStore(name).index("owner").getAll(owner)
    await settled(transaction)
    return request.result.sort((one, other) => one.place - other.place)
  }

  async remove(name, places) {
    await this.write(name, (rows) => places.forEach((place) => rows.delete(place)))
  }

  async put(name, row) {
    await this.write(name, (rows) => rows.put(row))
  }

  async putAside({ place, owner, event }, reason) {
    const transaction = this.database.transaction([EVENTS, REFUSED], "readwrite", { durability: "strict" })
    transaction.objectStore(REFUSED).add({ owner, event, reason })
    transaction.objectStore(EVENTS).delete(place)
    transaction.commit()
    await settled(transaction)
  }

  async addAct(owner, act, bytes) {
    return (await this.write(ACTS, (acts) => acts.add({ owner, act, bytes, undone: false }))).result
  }

  /** One write, on disk when this resolves; from the call on it holds even where the page is closed at once, which
   * would abort a transaction that still waits for more. */
  async write(name, act) {
    const transaction = this.database.transaction(name, "readwrite", { durability: "strict" })
    const request = act(transaction.objectStore(name))
    transaction.commit()
    await settled(transaction)
    return request
  }
}

/** The same for as long as the tab lives. */
export class TabStore {
  constructor() {
    this.rows = []
    this.aside = []
    this.place = 0
  }

  add(owner, event, bytes = sizeOf(event)) {
    this.rows.push({ place: --this.place, owner, event, bytes })
  }

  head(owner, { events: most, bytes: mostBytes }) {
    const rows = []
    let bytes = 0
    for (const row of this.list(owner)) {
      if (rows.length === most || (rows.length && bytes + row.bytes > mostBytes)) break
      rows.push(row)
      bytes += row.bytes
    }
    return rows
  }

  count(owner) {
    return this.list(owner).length
  }

  list(owner) {
    return this.rows.filter((row) => row.owner === owner)
  }

  remove(places) {
    this.rows = this.rows.filter((row) => !places.includes(row.place))
  }

  putAside(row, reason) {
    this.aside.push({ place: row.place, owner: row.owner, event: row.event, reason })
    this.remove([row.place])
  }

  listAside(owner) {
    return this.aside.filter((row) => row.owner === owner)
  }

  dropAside(places) {
    this.aside = this.aside.filter((row) => !places.includes(row.place))
  }
}
