// Files from this computer straight to disk on the server, piece by piece; Streamlit only learns when all are there.
// Whoever goes to another page meanwhile finds them when they come back. What was cut off, by the line, a reload or a restart
// of the server, goes on when the same files are chosen again.

const PIECE_BYTES = 8 << 20
const AT_ONCE = 4
const TRIES = 8
const KEPT = "readroom:upload" // which upload was under way, and a number that stands for its files: none of their names

const wired = new WeakSet()
// One for the whole tab: whoever leaves the page while files are on their way finds them here when they come back.
const state = (window.readroomUpload ??= { busy: false, done: null, said: null, isNews: false })

export default function ({ data, parentElement, setTriggerValue }) {
  state.find = (name) => parentElement.querySelector(`[data-part="${name}"]`)
  state.tell = setTriggerValue
  state.address = data.address
  if (!wired.has(parentElement)) {
    wired.add(parentElement)
    begin(parentElement)
    if (!state.busy && !state.isNews) state.said = null // an upload that this page was told of
  }
  paint()
  const { done } = state
  if (done) setTimeout(() => setTriggerValue("uploaded", done)) // it ended while the page was away
  Object.assign(state, { done: null, isNews: false })
}

/** Whether the page with the zone is there. */
function isHere() {
  return Boolean(state.find("zone")?.isConnected)
}

/** How far it is, on the page that is there now. */
function paint() {
  const { find, busy, said } = state
  if (!find("zone")) return
  find("zone").classList.toggle("busy", busy)
  if (!said) return
  find("bar").style.width = `${said.percent}%`
  find("said").textContent = said.text
}

function begin(root) {
  const find = (name) => root.querySelector(`[data-part="${name}"]`)
  const start = (chosen) => {
    if (!state.busy && chosen.length) send(chosen)
  }
  for (const [button, input] of [["pick-files", "files"], ["pick-folder", "folder"]]) {
    find(button).addEventListener("click", () => find(input).click())
    find(button).disabled = false // until here a press would have done nothing
    find(input).addEventListener("change", (event) => {
      start([...event.target.files].map((file) => ({ file, path: insideFolder(file) })))
      event.target.value = ""
    })
  }
  const zone = find("zone")
  zone.addEventListener("dragover", (event) => {
    event.preventDefault()
    zone.classList.add("over")
  })
  zone.addEventListener("dragleave", () => zone.classList.remove("over"))
  zone.addEventListener("drop", async (event) => {
    event.preventDefault()
    zone.classList.remove("over")
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean)
    // A single dropped folder is the imported folder: paths are relative to what is in it.
    const single = entries.length === 1 && entries[0].isDirectory
    start((await Promise.all(entries.map((entry) => walk(entry, "", single)))).flat())
  })
}

function insideFolder(file) {
  const path = file.webkitRelativePath
  return path ? path.slice(path.indexOf("/") + 1) : file.name
}

async function walk(entry, prefix, omitName = false) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject))
    return [{ file, path: prefix + entry.name }]
  }
  const reader = entry.createReader()
  const children = []
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    if (!some.length) break
    children.push(...some)
  }
  const below = omitName ? "" : `${prefix}${entry.name}/`
  return (await Promise.all(children.map((child) => walk(child, below)))).flat()
}

async function send(chosen) {
  state.busy = true
  const total = chosen.reduce((sum, { file }) => sum + file.size, 0)
  const sent = { bytes: 0, files: 0 }
  const show = (text) => {
    text ??= `${sent.files.toLocaleString()} of ${chosen.length.toLocaleString()} files, ${size(sent.bytes)} of ${size(total)}`
    state.said = { text, percent: total ? (100 * sent.bytes) / total : 0 }
    paint()
  }
  show()
  try {
    const print = printOf(chosen)
    const { upload, there } = await begun(state.address, print, total)
    const waiting = [...chosen]
    const workers = Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        await sendFile(`${state.address}/${upload}`, next, there[next.path] ?? 0, (bytes) => {
          sent.bytes += bytes
          show()
        })
        sent.files += 1
        show()
      }
    })
    await Promise.all(workers)
    keep(null)
    const paths = chosen.map(({ path }) => path)
    const many = chosen.length === 1 ? "1 file is" : `${chosen.length.toLocaleString()} files are`
    show(`${many} on the server (${size(total)}), ready to import.`)
    const tables = paths.filter((path) => /\.(csv|tsv|txt)$/i.test(path)).slice(0, 20)
    const done = { upload, files: chosen.length, bytes: total, tables }
    if (isHere()) state.tell("uploaded", done)
    else state.done = done
  } catch (error) {
    show(`${error.message} Nothing was imported; choose the same files again, and sending goes on where it stopped.`)
  }
  Object.assign(state, { busy: false, isNews: !isHere() })
  paint()
}

// The upload of before, if these are its files and the server still has it; else a new one.
async function begun(address, print, total) {
  const before = kept()
  if (before?.print === print) {
    try {
      const { files } = await ask(`${address}/${before.upload}`, { method: "GET" })
      return { upload: before.upload, there: files }
    } catch {
      keep(null)
    }
  }
  const { upload } = await ask(address, { method: "POST", body: JSON.stringify({ bytes: total }) })
  keep({ print, upload })
  return { upload, there: {} }
}

function keep(value) {
  try {
    if (value) localStorage.setItem(KEPT, JSON.stringify(value))
    else localStorage.removeItem(KEPT)
  } catch {
    // a browser that stores nothing begins anew
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT))
  } catch {
    return null
  }
}

// A number for the paths, sizes and times of all files, whatever their order (FNV-1a, twice).
function printOf(chosen) {
  const words = chosen.map(({ file, path }) => `${path}|${file.size}|${file.lastModified}`).sort()
  let [one, two] = [0x811c9dc5, 0xcbf29ce4]
  for (const word of words) {
    for (let at = 0; at < word.length; at += 1) {
      one = Math.imul(one ^ word.charCodeAt(at), 0x01000193)
      two = Math.imul(two ^ word.charCodeAt(at), 0x01000197)
    }
  }
  return `${words.length}-${(one >>> 0).toString(16)}-${(two >>> 0).toString(16)}`
}

async function sendFile(address, { file, path }, start, report) {
  const headers = { "Readroom-Path": encodeURIComponent(path) } // not in the address: that is logged on the way
  let offset = Math.min(start, file.size)
  report(offset)
  while (offset < file.size || (file.size === 0 && offset === 0)) {
    const piece = file.slice(offset, offset + PIECE_BYTES)
    const { size: there } = await ask(`${address}?offset=${offset}`, { method: "PUT", body: piece, headers }, [409])
    report(there - offset)
    offset = there
    if (file.size === 0) break
  }
}

async function ask(address, request, alsoFine = []) {
  for (let attempt = 1; ; attempt += 1) {
    let answer
    try {
      answer = await fetch(address, request)
    } catch {
      if (attempt === TRIES) throw new Error("The server cannot be reached.")
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt))
      continue
    }
    const isEarly = answer.status === 429 || (answer.status === 409 && answer.headers.has("Retry-After"))
    if (isEarly && attempt < TRIES) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(answer.headers.get("Retry-After")) || 1)))
      continue
    }
    if (answer.ok || alsoFine.includes(answer.status)) return answer.json()
    const said = await answer.json().catch(() => ({}))
    throw new Error(said.reason ?? `The server answered ${answer.status}.`)
  }
}

function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}
