// Runs in each page before the page's own scripts and takes the times that the viewer bench reports.
//
// From when the browser got a key or a movement of the pointer (`timeStamp`) to the end of the frame that has the new
// picture in it: a message that is posted while the frame is made arrives after it was painted.
(() => {
  const bench = (window.bench = { busy: 0, paints: [], moves: [], acknowledged: [], keyAt: 0, wanted: null })

  addEventListener("keydown", (event) => {
    bench.keyAt = event.timeStamp
    bench.keys.set(Number(bench.viewer()?.dataset.case), event.timeStamp)
  }, true)
  bench.keys = new Map() // case -> when a key was pressed on it last

  let movedAt = 0 // the oldest movement that is not on the screen yet
  addEventListener("pointermove", (event) => {
    if (event.buttons) movedAt ||= event.getCoalescedEvents?.()[0]?.timeStamp ?? event.timeStamp
  }, true)

  addEventListener("painted", ({ detail }) => {
    const began = movedAt
    movedAt = 0
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      const at = performance.now()
      bench.paints.push({ ...detail, at })
      if (began) bench.moves.push(at - began)
      const { wanted } = bench
      if (wanted && wanted.isIt(detail)) {
        bench.wanted = null
        wanted.resolve({ ...detail, ms: at - bench.keyAt })
      }
    }
    port2.postMessage(0)
  }, true)

  let viewer = null
  bench.viewer = () => {
    if (viewer?.isConnected) return viewer
    for (const one of document.querySelectorAll("*")) {
      const found = one.shadowRoot?.querySelector(".viewer")
      if (found) return (viewer = found)
    }
    return null
  }

  /** The next painted picture that is not of this case and index. */
  bench.expect = ({ case: id, index }) => {
    bench.promised = new Promise((resolve, reject) => {
      bench.wanted = { resolve, isIt: (told) => told.case !== id || told.index !== index }
      setTimeout(() => reject(new Error("Nothing else was painted within 20 s.")), 20000)
    })
  }

  // ---- what is on its way

  const { fetch } = window
  window.fetch = async (...request) => {
    const events = String(request[0]).endsWith("/api/v1/events") ? JSON.parse(request[1].body).events : null
    bench.busy++
    try {
      const response = await fetch(...request)
      if (events) response.clone().json().then(() => {
        const at = performance.now()
        for (const event of events) bench.acknowledged.push({ case: event.case, ms: at - (bench.keys.get(event.case) ?? at) })
      })
      return response
    } finally {
      bench.busy--
    }
  }
  for (const name of ["arrayBuffer", "json"]) {
    const read = Response.prototype[name]
    Response.prototype[name] = async function (...more) {
      bench.busy++
      try {
        return await read.apply(this, more)
      } finally {
        bench.busy--
      }
    }
  }

  /** Resolves when something is so. */
  bench.until = async (isSo) => {
    for (let tries = 0; !isSo(); tries++) {
      if (tries === 1500) throw new Error(`This did not come within 30 s: ${isSo}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Nothing is being loaded any more: what can be prefetched is there. */
  bench.quiet = async () => {
    for (let calm = 0; calm < 4; calm = bench.busy ? 0 : calm + 1) await new Promise((resolve) => setTimeout(resolve, 12))
  }

  // ---- what it is held against: the same picture as a PNG in an <img>, its bytes at hand

  bench.asImage = async (base64, width, height) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
    const address = URL.createObjectURL(new Blob([bytes], { type: "image/png" }))
    const canvas = Object.assign(document.createElement("canvas"), { width, height })
    document.body.replaceChildren(canvas)
    const context = canvas.getContext("2d", { willReadFrequently: true })
    await new Promise((resolve) => requestAnimationFrame(resolve))
    const began = performance.now()
    const image = new Image()
    image.src = address
    await image.decode()
    await new Promise((resolve) => requestAnimationFrame(resolve))
    context.drawImage(image, 0, 0, width, height)
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = resolve
      port2.postMessage(0)
    })
    return performance.now() - began
  }
})()
