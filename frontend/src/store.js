// Where answers wait until the server has them: IndexedDB, so that they outlive a reload, a crash and a night.

const DATABASE = "readroom"
const EVENTS = "events"
const REFUSED = "refused"

/** Opens the browser's database; where a browser denies it (a private window, a full disk), memory has to do. */
export async function openStore() {
  try {
    return new DurableStore(await openDatabase())
  } catch (error) {
    console.warn("This browser keeps no data; answers wait in this tab only.", error)
    return new TabStore()
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => {
      for (const name of [EVENTS, REFUSED]) {
        request.result.createObjectStore(name, { keyPath: "place", autoIncrement: true }).createIndex("owner", "owner")
      }
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error("another tab holds an older database"))
  })
}

function settled(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onerror = transaction.onabort = () => reject(transaction.error)
  })
}

class DurableStore {
  isDurable = true

  constructor(database) {
    this.database = database
    database.onversionchange = () => database.close()
  }

  /** Resolves when the event is on disk. */
  async add(owner, event) {
    const transaction = this.database.transaction(EVENTS, "readwrite", { durability: "strict" })
    transaction.objectStore(EVENTS).add({ owner, event })
    await settled(transaction)
  }

  /** The owner's events in the order they were made, each with its `place`. */
  async list(owner) {
    const transaction = this.database.transaction(EVENTS, "readonly")
    const request = transaction.objectStore(EVENTS).index("owner").getAll(owner)
    await settled(transaction)
    return request.result.sort((one, other) => one.place - other.place)
  }

  async remove(places) {
    const transaction = this.database.transaction(EVENTS, "readwrite")
    for (const place of places) transaction.objectStore(EVENTS).delete(place)
    await settled(transaction)
  }

  /** Out of the way of the others, but kept: a refused answer is still somebody's work. */
  async putAside({ place, owner, event }, reason) {
    const transaction = this.database.transaction([EVENTS, REFUSED], "readwrite", { durability: "strict" })
    transaction.objectStore(REFUSED).add({ owner, event, reason })
    transaction.objectStore(EVENTS).delete(place)
    await settled(transaction)
  }
}

/** The same for as long as the tab lives. */
export class TabStore {
  isDurable = false

  constructor() {
    this.rows = []
    this.refused = []
    this.place = 0
  }

  async add(owner, event) {
    this.rows.push({ place: ++this.place, owner, event })
  }

  async list(owner) {
    return this.rows.filter((row) => row.owner === owner)
  }

  async remove(places) {
    this.rows = this.rows.filter((row) => !places.includes(row.place))
  }

  async putAside(row, reason) {
    this.refused.push({ ...row, reason })
    await this.remove([row.place])
  }
}
