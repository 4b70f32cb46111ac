// Which renderer draws: WebGL2 where a graphics card does the work, else Canvas2D, which is faster than WebGL in software.
//
// What a pane must know: the canvas may be replaced. A canvas that once had a WebGL context never gets another kind, so
// when WebGL cannot go on, a fresh canvas takes the old one's place in the page (same attributes and size). Therefore
// listen on the element around it, and ask `renderer.canvas` rather than keeping it. The renderer itself stays the same
// object: it draws its last picture again by itself, and calls `onRestored(renderer)` after each recovery, so that
// whoever counts on `name` or `canvas` can look again.

import { CanvasRenderer } from "./canvas.js"
import { GlRenderer } from "./gl.js"

const SOFTWARE = /swiftshader|llvmpipe|softpipe|lavapipe|software|basic render|\bwarp\b/i
const PATIENCE_MS = 2000 // for a lost context

/** "gl", "canvas" or null: what `?renderer=` of the page's address or this browser's memory ask for. */
export function preferred(place = globalThis.location, memory = storage()) {
  const asked = new URLSearchParams(place?.search ?? "").get("renderer") ?? memory?.getItem("readroom-renderer")
  return asked === "gl" || asked === "canvas" ? asked : null
}

function storage() {
  try {
    return globalThis.localStorage
  } catch {
    return null // forbidden by the browser's settings
  }
}

let card // what the browser says of its graphics card; asked once, for it takes time

/** The name of the graphics card behind WebGL2; "" where there is no WebGL2. */
export function graphicsCard() {
  card ??= askForCard()
  return card
}

function askForCard() {
  try {
    const gl = document.createElement("canvas").getContext("webgl2")
    if (!gl) return ""
    const named = gl.getExtension("WEBGL_debug_renderer_info")
    const name = String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER))
    gl.getExtension("WEBGL_lose_context")?.loseContext()
    return name || "unnamed"
  } catch {
    return ""
  }
}

export function isSoftware(name) {
  return SOFTWARE.test(name)
}

function onCanvas(canvas) {
  return new CanvasRenderer(canvas, { software: !graphicsCard() || isSoftware(graphicsCard()) })
}

class Renderer {
  constructor(canvas, { prefer, onRestored, patience }) {
    Object.assign(this, { canvas, onRestored, patience, timer: 0, last: null })
    const wanted = prefer === "gl" || (prefer !== "canvas" && !isSoftware(graphicsCard()))
    if (wanted && graphicsCard()) this.tryGl()
    else this.inner = onCanvas(canvas)
  }

  get name() {
    return this.inner.name
  }

  tryGl() {
    try {
      this.inner = new GlRenderer(this.canvas, { onLost: () => this.wait(), onRestored: () => this.recover() })
    } catch (error) {
      this.giveUp(error)
    }
  }

  resize(width, height) {
    this.inner.resize(width, height)
  }

  draw(picture, look) {
    this.last = [picture, look]
    try {
      this.inner.draw(picture, look)
    } catch (error) {
      if (this.name !== "gl") throw error
      this.goOnWithCanvas(error)
    }
  }

  // ---- when the context is lost

  wait() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.goOnWithCanvas("its context did not come back"), this.patience)
  }

  recover() {
    clearTimeout(this.timer)
    if (this.last) this.draw(...this.last)
    this.onRestored(this)
  }

  goOnWithCanvas(reason) {
    this.inner?.close()
    this.giveUp(reason)
    this.recover()
  }

  giveUp(reason) {
    console.warn(`WebGL2 cannot go on; Canvas2D draws instead. ${reason}`)
    const fresh = this.canvas.cloneNode()
    this.canvas.replaceWith(fresh)
    this.canvas = fresh
    this.inner = onCanvas(fresh)
  }

  close() {
    clearTimeout(this.timer)
    this.last = null
    this.inner.close()
  }
}

/**
 * A renderer for a canvas: {name: "gl" | "canvas", canvas, resize(w, h), draw(picture | null, look), close()}.
 *
 * picture = {key, rows, columns, channels: 1 | 3, kind, values, tall}; `key` is unique for what `values` hold
 * look = {window: {centre, width, curve?}, inverted, matrix: [a..f], smooth, colourMap, layers}; the matrix leads from the picture
 *   to the canvas by quarter turns, flips, scales and moves
 * layer = {kind: "mask", key, version, rows, columns, values: 0 or 1, colour: "#rrggbb", fill: 0..1, outline, dirty?, since?}
 *   `dirty` [x, y, width, height]: all that changed after version `since` (the one before, where it is not said)
 *   | {kind: "heat", key, version, rows, columns, values: 0..1, opacity, threshold, colourMap}
 * Layers cover the whole picture, whatever their own resolution; the last one lies on top.
 *
 * @param {{prefer?: "gl" | "canvas" | null, onRestored?: (renderer) => void, patience?: number}} [options]
 */
export function makeRenderer(canvas, { prefer = preferred(), onRestored = () => {}, patience = PATIENCE_MS } = {}) {
  return new Renderer(canvas, { prefer, onRestored, patience })
}
