// WebGL2: stored values as integer or float textures, windowed by the graphics card.
//
// What it draws equals what Canvas2D draws. Whole numbers go through a table that greyLevels filled; floats are compared
// with the steps of levelSteps, because a shader's division may round as it likes. Of floats in a window with a table of
// the file, where grey may fall as well as rise, the texture holds the grey levels themselves: such files are rare.

import { greyLevels, levelSteps } from "../window.js"
import { PooledMasks, halvings, isCrisp, levels, poolSizes } from "./levels.js"
import { TABLES, colourWords, heatPicture, outlineWidth, parts, valueWords } from "./looks.js"
import { CORNERS, HEAT, MASK, pictureShader } from "./shaders.js"

const BUDGET_BYTES = 256 * 2 ** 20
const ALL_LEVELS = { centre: 127.5, width: 255 }

// How values of a kind lie in a texture, by their number of channels.
const STORED = {
  u1: { sampler: "usampler2D", type: "UNSIGNED_BYTE", 1: ["R8UI", "RED_INTEGER"], 3: ["RGB8UI", "RGB_INTEGER"] },
  i1: { sampler: "isampler2D", type: "BYTE", 1: ["R8I", "RED_INTEGER"], 3: ["RGB8I", "RGB_INTEGER"] },
  u2: { sampler: "usampler2D", type: "UNSIGNED_SHORT", 1: ["R16UI", "RED_INTEGER"], 3: ["RGB16UI", "RGB_INTEGER"] },
  i2: { sampler: "isampler2D", type: "SHORT", 1: ["R16I", "RED_INTEGER"], 3: ["RGB16I", "RGB_INTEGER"] },
  f4: { sampler: "sampler2D", type: "FLOAT", 1: ["R32F", "RED"], 3: ["RGB32F", "RGB"] },
}

/** Draws one picture and the layers over it into a canvas, as CanvasRenderer does. */
export class GlRenderer {
  /** @param {{onLost?: Function, onRestored?: Function, budget?: number}} options called when the context goes and comes back */
  constructor(canvas, { onLost = () => {}, onRestored = () => {}, budget = BUDGET_BYTES } = {}) {
    this.name = "gl"
    this.canvas = canvas
    this.budget = budget
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, stencil: false })
    if (!this.gl) throw new Error("This browser has no WebGL2.")
    this.listeners = {
      webglcontextlost: (event) => {
        event.preventDefault() // else it never comes back
        onLost()
      },
      webglcontextrestored: () => {
        this.begin()
        onRestored()
      },
    }
    for (const [name, listener] of Object.entries(this.listeners)) canvas.addEventListener(name, listener)
    this.begin()
    this.programFor("heat", HEAT) // so that a card whose compiler fails is known at once
  }

  begin() {
    const { gl } = this
    this.programs = new Map()
    this.pooled = new PooledMasks()
    this.textures = new Map() // by what they hold, the one not used for longest first
    this.bytes = 0
    this.table = this.steps = this.tabled = null
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE)
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1)
    gl.bindVertexArray(gl.createVertexArray())
  }

  resize(width, height) {
    this.canvas.width = width
    this.canvas.height = height
  }

  draw(picture, look) {
    const { gl, canvas } = this
    if (gl.isContextLost()) return // drawn again when it is back
    gl.viewport(0, 0, canvas.width, canvas.height)
    gl.disable(gl.BLEND)
    gl.clearColor(0, 0, 0, 1)
    gl.clear(gl.COLOR_BUFFER_BIT)
    if (!picture || !canvas.width || !canvas.height) return
    this.matrix = look.matrix
    this.place = placeOf(look.matrix)
    this.drawPicture(picture, look)
    gl.enable(gl.BLEND)
    for (const layer of look.layers ?? []) layer.kind === "heat" ? this.drawHeat(layer, picture) : this.drawMask(layer, picture)
  }

  drawPicture(picture, look) {
    const { gl } = this
    const times = halvings(look.matrix)
    const isSmaller = [picture.columns, picture.rows].map((side, axis) => {
      const least = times[axis]
      while (side / 2 ** times[axis] > this.most) times[axis]++ // no texture of this card holds it
      return times[axis] > least
    })
    const { values, rows, columns, channels, kind } = levels.get(picture, times)
    const { window } = look
    const inLevels = !TABLES[kind] && Array.isArray(window.curve)
    const as = inLevels ? "u1" : STORED[kind] ? kind : "f4"
    const key = inLevels ? `${picture.key} ${times} ${window.centre} ${window.width} ${window.curve}` : `${picture.key} ${times}`
    const texture = this.textureFor(`picture ${key}`, rows * columns * channels * bytesOf(as), () => {
      const [internal, format] = STORED[as][channels]
      const stored = inLevels ? Uint8Array.from(values, greyLevels(window, false)) : STORED[kind] ? values : Float32Array.from(values)
      this.upload(internal, columns, rows, format, STORED[as].type, stored)
    })
    const program = this.programFor(`picture ${as} ${channels}`, () => pictureShader(STORED[as].sampler, channels))
    this.use(program, picture)
    this.tables(as, channels, inLevels ? { ...look, window: ALL_LEVELS } : look)
    gl.uniform2fv(program.at("halving"), times.map((one) => 2 ** one))
    gl.uniform1i(program.at("crisp"), isCrisp(look) && !isSmaller.includes(true) ? 1 : 0)
    gl.uniform1i(program.at("least"), TABLES[as]?.[0] ?? 0)
    this.bind(program, { picture: texture, table: this.table, steps: this.steps })
    gl.drawArrays(gl.TRIANGLES, 0, 3)
  }

  /** Brings the table of colours, and for floats the steps between grey levels, up to date with the window. */
  tables(kind, channels, { window, inverted, colourMap = "grey" }) {
    const { gl } = this
    const wanted = JSON.stringify([kind, channels === 3 || colourMap, window.centre, window.width, window.curve, Boolean(inverted)])
    if (wanted === this.tabled) return
    this.tabled = wanted
    const named = channels === 3 ? "grey" : colourMap
    const words = TABLES[kind]
      ? valueWords(kind, { window, inverted, colourMap: named })
      : colourWords(named).slice()
    if (!TABLES[kind]) {
      if (inverted) words.reverse()
      this.steps ??= gl.createTexture()
      gl.bindTexture(gl.TEXTURE_2D, this.steps)
      this.upload("R32F", 256, 1, "RED", "FLOAT", levelSteps(window))
    }
    this.table ??= gl.createTexture()
    gl.bindTexture(gl.TEXTURE_2D, this.table)
    this.upload("RGBA8", 256, words.length / 256, "RGBA", "UNSIGNED_BYTE", new Uint8Array(words.buffer))
  }

  drawMask(layer, picture) {
    const { gl } = this
    const { rows, columns, values, size, change } = this.pooled.get(layer, poolSizes(this.matrix, layer, picture))
    const key = `mask ${layer.key}`
    const isHeld = this.textures.has(key)
    if (change === undefined) this.drop(key)
    const texture = this.textureFor(key, rows * columns, () => this.upload("R8UI", columns, rows, "RED_INTEGER", "UNSIGNED_BYTE", values))
    if (change && isHeld) this.patch(texture, columns, values, change)
    const program = this.programFor("mask", MASK)
    this.use(program, picture)
    gl.uniform2f(program.at("maskSize"), columns, rows)
    gl.uniform2f(program.at("covers"), (picture.columns / layer.columns) * size[0], (picture.rows / layer.rows) * size[1])
    gl.uniform3fv(program.at("colour"), parts(layer.colour).map((part) => part / 255))
    gl.uniform1f(program.at("fill"), layer.fill ?? 0)
    gl.uniform1i(program.at("outline"), layer.outline ? outlineWidth() : 0)
    this.bind(program, { mask: texture })
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ZERO, gl.ONE)
    gl.drawArrays(gl.TRIANGLES, 0, 3)
  }

  drawHeat(layer, picture) {
    const { gl } = this
    const key = `heat ${layer.key} ${layer.version} ${layer.threshold} ${layer.colourMap}`
    const texture = this.textureFor(key, 0, () => {
      const { rows, columns, words } = heatPicture(layer)
      this.upload("RGBA8", columns, rows, "RGBA", "UNSIGNED_BYTE", multiplied(words))
      for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.LINEAR)
      return 4 * rows * columns
    })
    const program = this.programFor("heat", HEAT)
    this.use(program, picture)
    gl.uniform1f(program.at("opacity"), layer.opacity ?? 1)
    this.bind(program, { heat: texture })
    gl.blendFuncSeparate(gl.ONE, gl.ONE_MINUS_SRC_ALPHA, gl.ZERO, gl.ONE)
    gl.drawArrays(gl.TRIANGLES, 0, 3)
  }

  // ---- programs

  programFor(name, source) {
    if (!this.programs.has(name)) this.programs.set(name, this.compile(typeof source === "function" ? source() : source))
    return this.programs.get(name)
  }

  compile(source) {
    const { gl } = this
    const program = gl.createProgram()
    for (const [type, text] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, source]]) {
      const shader = gl.createShader(type)
      gl.shaderSource(shader, text)
      gl.compileShader(shader)
      gl.attachShader(program, shader)
    }
    gl.linkProgram(program)
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      const told = [gl.getProgramInfoLog(program), ...gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader))]
      throw new Error(`The graphics card refuses a shader: ${told.filter(Boolean).join(" ")}`)
    }
    const places = new Map()
    const at = (name) => {
      if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name))
      return places.get(name)
    }
    return { program, at }
  }

  use({ program, at }, { rows, columns }) {
    const { gl, place } = this
    gl.useProgram(program)
    gl.uniform2fv(at("across"), place.across)
    gl.uniform2fv(at("down"), place.down)
    gl.uniform2fv(at("start"), place.start)
    gl.uniform2f(at("pictureSize"), columns, rows)
    gl.uniform1f(at("screenHeight"), this.canvas.height)
  }

  bind({ at }, textures) {
    const { gl } = this
    Object.entries(textures).forEach(([name, texture], unit) => {
      if (!texture || !at(name)) return
      gl.activeTexture(gl.TEXTURE0 + unit)
      gl.bindTexture(gl.TEXTURE_2D, texture)
      gl.uniform1i(at(name), unit)
    })
    gl.activeTexture(gl.TEXTURE0)
  }

  // ---- textures

  /** The texture that holds something, filled by `fill` (which may return how many bytes it took) where there is none yet. */
  textureFor(key, bytes, fill) {
    const { gl } = this
    let held = this.textures.get(key)
    if (held) this.textures.delete(key)
    else {
      held = { texture: gl.createTexture(), bytes }
      gl.bindTexture(gl.TEXTURE_2D, held.texture)
      held.bytes = fill() ?? bytes
      if (gl.getError() === gl.OUT_OF_MEMORY) throw new Error("The graphics card has no memory left.") // it would draw black
      this.bytes += held.bytes
    }
    this.textures.set(key, held)
    for (const oldest of this.textures.keys()) {
      if (this.bytes <= this.budget || oldest === key) break
      this.drop(oldest)
    }
    return held.texture
  }

  drop(key) {
    const held = this.textures.get(key)
    if (!held) return
    this.gl.deleteTexture(held.texture)
    this.textures.delete(key)
    this.bytes -= held.bytes
  }

  /** Fills the bound texture. */
  upload(internal, width, height, format, type, values) {
    const { gl } = this
    gl.texImage2D(gl.TEXTURE_2D, 0, gl[internal], width, height, 0, gl[format], gl[type], values)
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST)
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE)
  }

  /** A rectangle of a mask, straight out of all of its values. */
  patch(texture, columns, values, [x, y, width, height]) {
    const { gl } = this
    gl.bindTexture(gl.TEXTURE_2D, texture)
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, columns)
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, x)
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, y)
    gl.texSubImage2D(gl.TEXTURE_2D, 0, x, y, width, height, gl.RED_INTEGER, gl.UNSIGNED_BYTE, values)
    for (const name of [gl.UNPACK_ROW_LENGTH, gl.UNPACK_SKIP_PIXELS, gl.UNPACK_SKIP_ROWS]) gl.pixelStorei(name, 0)
  }

  close() {
    for (const [name, listener] of Object.entries(this.listeners)) this.canvas.removeEventListener(name, listener)
    this.gl.getExtension("WEBGL_lose_context")?.loseContext() // a browser allows only a few at a time
  }
}

/** The way back from the screen to the picture, as the shaders take it. */
function placeOf([a, b, c, d, e, f]) {
  const determinant = a * d - b * c
  return {
    across: [d / determinant, -b / determinant],
    down: [-c / determinant, a / determinant],
    start: [(c * f - d * e) / determinant, (b * e - a * f) / determinant],
  }
}

function bytesOf(kind) {
  return Number(kind[1])
}

/** Bytes of colours multiplied by their alpha, so that nothing invisible bleeds into what is seen. */
function multiplied(words) {
  const bytes = new Uint8Array(words.buffer)
  for (let at = 0; at < bytes.length; at += 4) {
    const alpha = bytes[at + 3] / 255
    for (let channel = at; channel < at + 3; channel++) bytes[channel] = Math.round(bytes[channel] * alpha)
  }
  return bytes
}
