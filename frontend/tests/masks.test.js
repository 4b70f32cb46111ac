import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"

import { Masks } from "../src/masks/masks.js"
import { decode, encode, toBase64 } from "../src/masks/runs.js"
import { planeSize } from "../src/planes.js"
import { changeOf } from "../src/renderers/looks.js"

const project = { structures: [{ name: "liver", colour: "#e69f00" }, { name: "lesion", colour: "#56b4e9" }] }
const volumeFacts = { id: 7, frames: 20, rows: 30, columns: 40, spacing_mm: [1, 1], slice_spacing_mm: 2, masks: [] }
const press = { button: 0, altKey: false, pointerType: "mouse", timeStamp: 0 }

/** A pane as tools and layers see it. */
function makePane(facts, plane = "frame", index = 5) {
  const listeners = new Map()
  const pane = {
    facts, plane, index, hidden: false, layers: [], matrix: [1, 0, 0, 1, 0, 0], window: { centre: 50, width: 100 },
    on: (name, listener) => (listeners.set(name, listener), () => listeners.delete(name)),
    tell: (name) => listeners.get(name)?.(),
    toCanvas: (x, y) => [x, y],
    setIndex: (next) => (pane.index = next),
    painted: () => pane.tell("painted"),
    at: (x, y) => ({ x, y, plane: pane.plane, index: pane.index, frame: 0, canvas: [x, y], pane }),
    picture: () => pane.plane === "frame" && !pane.volume.at(pane.index) ? null : ({ rows: planeSize(facts, pane.plane).rows, columns: planeSize(facts, pane.plane).columns, channels: 1, values: pane.values }),
    volume: { at: (frame) => (frame === 19 ? null : { channels: 1, values: Int16Array.from({ length: facts.rows * facts.columns }, (_, at) => at % facts.columns) }) },
  }
  return pane
}

class Layout {
  painters = []
  panes = []
  tool = null
  repaints = 0
  constructor(...panes) {
    this.panes = panes
    this.main = panes[0]
  }
  setLayers(_name, make) {
    this.make = make
  }
  refreshLayers() {
    for (const pane of this.panes) pane.layers = this.make?.(pane) ?? []
  }
  setTool(tool) {
    this.tool = tool
    for (const pane of this.panes) pane.tell("tool")
  }
  repaintOver() {
    this.repaints++
  }
}

const quietPanel = () => ({ show() {}, showTools() {}, showRange() {}, showVolumes() {}, showWaiting() {} })

function setUp(facts = volumeFacts, ...panes) {
  const told = { acts: [], faults: [], remarks: [], tools: [] }
  const on = {
    onStroke: (act) => told.acts.push(act),
    onFault: (text) => told.faults.push(text),
    onSay: (text) => told.remarks.push(text),
    onTool: (kind) => told.tools.push(kind),
  }
  const masks = new Masks(project, on, quietPanel)
  const layout = new Layout(...(panes.length ? panes : [makePane(facts)]))
  masks.attach(layout)
  return { masks, layout, pane: layout.main, told }
}

function stroke(masks, kind, pane, ...points) {
  const tool = masks.tool(kind)
  tool.down(pane.at(...points[0]), press)
  for (const point of points.slice(1)) tool.move(pane.at(...point), press)
  tool.up(pane.at(...points.at(-1)), press)
}

const pixels = (runs, facts = volumeFacts) => decode(runs, facts.rows * facts.columns)
const countOf = (mask) => mask.reduce((sum, value) => sum + value, 0)

let answers
beforeEach(() => {
  answers = new Map()
  vi.stubGlobal("fetch", vi.fn(async (path) => {
    const answer = answers.get(path)
    if (!answer) return new Response(JSON.stringify({ reason: "There is no mask." }), { status: 404 })
    return answer instanceof Error ? Promise.reject(answer) : new Response(JSON.stringify(answer))
  }))
})
afterEach(() => vi.unstubAllGlobals())

describe("a stroke", () => {
  it("is one act from pointer down to pointer up, with the frames as they were and as they are", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    masks.setSize(5)
    stroke(masks, "brush", pane, [10, 10], [20, 10], [20, 20])
    expect(told.acts.length).toBe(1)
    const [act] = told.acts
    expect([act.case, act.structure, [...act.before.keys()], [...act.after.keys()]]).toEqual([7, "liver", [5], [5]])
    expect(countOf(pixels(act.before.get(5)))).toBe(0)
    expect(countOf(pixels(act.after.get(5)))).toBe(masks.find("liver").grid.count)
    expect(masks.toEvent(act.structure, act.after)).toEqual({ type: "mask", structure: "liver", frames: { 5: toBase64(act.after.get(5)) } })
  })

  it("is taken back and done again by its codes", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 10], [20, 10])
    stroke(masks, "eraser", pane, [15, 10], [15, 20])
    const [first, second] = told.acts
    expect(second.before.get(5)).toEqual(first.after.get(5))
    const { grid } = masks.find("liver")
    masks.apply("liver", second.before)
    expect(grid.runs(5)).toEqual(first.after.get(5))
    masks.apply("liver", first.before)
    expect(grid.count).toBe(0)
    masks.apply("liver", first.after)
    masks.apply("liver", second.after)
    expect(encode(grid.mask(5))).toEqual(second.after.get(5))
  })

  it("that is under way goes on where another act is taken back meanwhile", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 10])
    const tool = masks.tool("brush")
    tool.down(pane.at(30, 20), press)
    masks.apply("liver", told.acts[0].before) // Ctrl+Z with the button held
    tool.move(pane.at(32, 20), press)
    tool.up(pane.at(32, 20), press)
    expect(countOf(pixels(told.acts[1].before.get(5)))).toBe(0)
    expect(told.acts[1].after.get(5)).toEqual(encode(masks.find("liver").grid.mask(5)))
  })

  it("in the coronal plane is found in the axial one", async () => {
    const { masks, pane } = setUp(volumeFacts, makePane(volumeFacts, "row", 12))
    await masks.load(volumeFacts)
    masks.setSize(4)
    stroke(masks, "brush", pane, [10, 3.5], [10, 8.5])
    const { grid } = masks.find("liver")
    expect(grid.painted()).toEqual([3, 4, 5, 6, 7, 8])
    for (const frame of grid.painted()) {
      const columns = [...grid.mask(frame).keys()].filter((at) => grid.mask(frame)[at])
      expect(columns.every((at) => Math.floor(at / 40) === 12)).toBe(true)
      expect(columns.map((at) => at % 40)).toEqual([8, 9, 10, 11])
    }
  })

  it("is round in millimetres in every plane", async () => {
    for (const [plane, index] of [["frame", 5], ["row", 12], ["column", 12]]) {
      const { masks, pane } = setUp(volumeFacts, makePane(volumeFacts, plane, index))
      await masks.load(volumeFacts)
      masks.setSize(12)
      stroke(masks, "brush", pane, [15, 10])
      const { tall, columns } = planeSize(volumeFacts, plane)
      const slice = masks.find("liver").grid.slice(plane, index)
      const painted = [...slice.keys()].filter((at) => slice[at])
      const wide = new Set(painted.map((at) => at % columns)).size
      const high = new Set(painted.map((at) => Math.floor(at / columns))).size
      expect([wide, high * tall]).toEqual([12, 12])
    }
  })

  it("with the ball is a ball in millimetres, whichever plane it is drawn in", async () => {
    const grids = []
    for (const [plane, index, x, y] of [["frame", 9, 20.5, 15.5], ["row", 15, 20.5, 9.5], ["column", 20, 15.5, 9.5]]) {
      const { masks, pane } = setUp(volumeFacts, makePane(volumeFacts, plane, index))
      await masks.load(volumeFacts)
      masks.setSize(11)
      stroke(masks, "ball", pane, [x, y])
      grids.push(masks.find("liver").grid)
    }
    const [grid] = grids
    expect(grid.painted()).toEqual([7, 8, 9, 10, 11])
    for (const frame of grid.painted()) {
      const radius = Math.sqrt(5.5 ** 2 - ((frame - 9) * 2) ** 2)
      const expected = Uint8Array.from({ length: 1200 }, (_, at) => (Math.hypot((at % 40) - 20, Math.floor(at / 40) - 15) < radius ? 1 : 0))
      expect(grid.mask(frame)).toEqual(expected)
    }
    for (const other of grids.slice(1)) for (const frame of grid.painted()) expect(other.mask(frame)).toEqual(grid.mask(frame))
  })

  it("goes on where the pointer is taken away; what one of two fingers began is taken back", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    const tool = masks.tool("brush")
    tool.down(pane.at(10, 10), press)
    tool.move(pane.at(12, 10), press)
    tool.cancel()
    expect(told.acts.length).toBe(1)
    tool.down(pane.at(30, 20), { ...press, pointerType: "touch", timeStamp: performance.now() })
    tool.cancel()
    expect(told.acts.length).toBe(1)
    expect(masks.find("liver").grid.runs(5)).toEqual(told.acts[0].after.get(5))
  })

  it("begins anew where another slice came under the pointer", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    masks.setSize(2)
    const tool = masks.tool("brush")
    tool.down(pane.at(5, 5), press)
    pane.index = 6
    tool.move(pane.at(30, 5), press)
    tool.up(pane.at(30, 5), press)
    const { grid } = masks.find("liver")
    expect([grid.painted(), grid.countIn(6)]).toEqual([[5, 6], 4])
  })

  it("erases with Alt, and paints with Alt where the tool erases", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    masks.tool("eraser").down(pane.at(10, 10), { ...press, altKey: true })
    masks.tool("eraser").up(pane.at(10, 10), press)
    expect(masks.find("liver").grid.count).toBeGreaterThan(0)
    masks.tool("brush").down(pane.at(10, 10), { ...press, altKey: true })
    masks.tool("brush").up(pane.at(10, 10), press)
    expect(masks.find("liver").grid.count).toBe(0)
  })
})

describe("a brush with a range", () => {
  it("paints only where the image's value lies in it, and nothing where no image is", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    masks.setSize(20)
    masks.setRange({ low: 18, high: 21 })
    stroke(masks, "threshold", pane, [20, 10])
    const { grid } = masks.find("liver")
    expect(new Set([...grid.mask(5).keys()].filter((at) => grid.mask(5)[at]).map((at) => at % 40))).toEqual(new Set([18, 19, 20, 21]))
    pane.index = 19
    stroke(masks, "threshold", pane, [20, 10])
    expect([grid.painted(), told.remarks.at(-1)]).toEqual([[5], "Wait for the image."])
    pane.index = 18
    masks.settings.rangedBall = true
    stroke(masks, "ball", pane, [20, 10])
    expect(grid.painted()).toEqual([5, 14, 15, 16, 17, 18])
    expect(told.remarks.at(-1)).toContain("not loaded")
  })

  it("takes the range from the image, with a tolerance, and gives the tool before back", async () => {
    const { masks, pane, layout } = setUp()
    await masks.load(volumeFacts)
    pane.values = Int16Array.from({ length: 1200 }, (_, at) => at % 40)
    masks.choose("threshold")
    masks.choose("pick")
    layout.tool.down(pane.at(25.3, 4), press)
    expect(masks.settings.range).toEqual({ low: 15, high: 35 }) // a tenth of the window
    expect(layout.tool.name).toBe("threshold")
    masks.settings.tolerance = 2
    masks.choose("pick")
    layout.tool.down(pane.at(25.3, 4), press)
    expect(masks.settings.range).toEqual({ low: 23, high: 27 })
  })

  it("takes a connected region of like values, up to the largest allowed", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    pane.values = Int16Array.from({ length: 1200 }, (_, at) => (Math.hypot((at % 40) - 20, Math.floor(at / 40) - 15) < 8 ? 100 : 0))
    pane.values[0] = 100
    masks.setRange({ low: 90, high: null })
    stroke(masks, "region", pane, [20, 15])
    const { grid } = masks.find("liver")
    expect(grid.count).toBe(pane.values.reduce((sum, value) => sum + (value === 100), 0) - 1)
    stroke(masks, "region", pane, [2, 20])
    expect(told.remarks.at(-1)).toContain("outside the range")
    masks.setRange({ low: null, high: 50 })
    masks.settings.largestFill = 0.5
    stroke(masks, "region", pane, [2, 20])
    expect(told.remarks.at(-1)).toContain("larger than 50 % of the image (600 pixels)")
    expect(told.acts.length).toBe(1)
  })
})

describe("filling", () => {
  it("fills what is enclosed as one act, and refuses what is open", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "fill", pane, [20, 15])
    expect(told.remarks.at(-1)).toContain("closed outline")
    masks.setSize(2)
    stroke(masks, "brush", pane, [10, 5], [30, 5], [30, 25], [10, 25])
    stroke(masks, "fill", pane, [20, 15])
    expect(told.remarks.at(-1)).toContain("not enclosed")
    stroke(masks, "brush", pane, [10, 25], [10, 5])
    masks.settings.largestFill = 0.1
    stroke(masks, "fill", pane, [20, 15])
    expect(told.remarks.at(-1)).toContain("larger than 10 %")
    masks.settings.largestFill = 0.5
    stroke(masks, "fill", pane, [20, 15])
    expect(told.acts.length).toBe(3)
    const mask = masks.find("liver").grid.mask(5)
    for (let y = 5; y < 25; y++) for (let x = 10; x < 30; x++) expect(mask[y * 40 + x]).toBe(1)
  })
})

describe("a whole slice", () => {
  it("is cleared, and copied to the next one, which is then looked at", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    masks.command("clearSlice")
    expect(told.remarks.at(-1)).toContain("Nothing is painted")
    stroke(masks, "brush", pane, [10, 10], [20, 10])
    masks.command("copyToNext")
    const { grid } = masks.find("liver")
    expect([pane.index, grid.runs(6)]).toEqual([6, grid.runs(5)])
    masks.command("clearSlice")
    expect([grid.painted(), told.acts.length]).toEqual([[5], 3])
  })

  it("is filled between painted ones, as one act, in the plane that is looked at", async () => {
    const { masks, pane, told } = setUp(volumeFacts, makePane(volumeFacts, "column", 10))
    await masks.load(volumeFacts)
    masks.command("interpolate")
    expect(told.remarks.at(-1)).toContain("Paint two slices")
    masks.setSize(10)
    stroke(masks, "brush", pane, [15, 10])
    const slice = masks.find("liver").grid.slice("column", 10)
    pane.index = 14
    stroke(masks, "brush", pane, [15, 10])
    masks.command("interpolate")
    expect(told.remarks.at(-1)).toContain("Filled 3 slices")
    for (const index of [11, 12, 13]) expect(masks.find("liver").grid.slice("column", index)).toEqual(slice)
    expect(told.acts.length).toBe(3)
    masks.apply("liver", told.acts[2].before)
    expect(masks.find("liver").grid.paintedSlices("column")).toEqual([10, 14])
  })
})

describe("a structure", () => {
  it("that is locked is not changed by any tool", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 10])
    const before = masks.find("liver").grid.runs(5)
    masks.change(masks.find("liver"), { locked: true })
    for (const kind of ["brush", "eraser", "threshold", "ball", "fill", "region"]) {
      stroke(masks, kind, pane, [10, 10], [20, 20])
      expect(told.remarks.at(-1)).toBe("liver is locked. Unlock it to change it.")
    }
    for (const command of ["clearSlice", "copyToNext", "interpolate"]) masks.command(command)
    expect(masks.find("liver").grid.runs(5)).toEqual(before)
    expect(told.acts.length).toBe(1)
  })

  it("that is locked keeps its pixels from the others, unless that is switched off", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    masks.setSize(10)
    stroke(masks, "brush", pane, [15, 10])
    masks.change(masks.find("liver"), { locked: true })
    masks.pressDigit("2")
    stroke(masks, "brush", pane, [15, 10], [25, 10])
    const [liver, lesion] = ["liver", "lesion"].map((name) => masks.find(name).grid.mask(5))
    expect(lesion.some((value, at) => value && liver[at])).toBe(false)
    expect(countOf(lesion)).toBeGreaterThan(50)
    masks.settings.keepOff = false
    stroke(masks, "brush", pane, [15, 10])
    expect(lesion.some((value, at) => value && liver[at])).toBe(true)
  })

  it("that is hidden is not drawn, and shown again when it is painted on", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 10])
    expect(pane.layers.length).toBe(1)
    masks.change(masks.find("liver"), { hidden: true })
    expect(pane.layers).toEqual([])
    stroke(masks, "brush", pane, [20, 10])
    expect(pane.layers.length).toBe(1)
  })

  it("is chosen by its digit", () => {
    const { masks } = setUp()
    expect(masks.pressDigit("2")).toBe(true)
    expect(masks.active.name).toBe("lesion")
    expect(masks.pressDigit("3")).toBe(false)
  })

  it("beyond the ninth is chosen by two digits, and each has a key of its own", () => {
    const many = (count) => ({ structures: Array.from({ length: count }, (_, at) => ({ name: `s${at + 1}`, colour: "#e69f00", retired: at === 2 })) })
    const chosenBy = (masks, keys) => [...keys].map((digit) => masks.pressDigit(digit)) && masks.active.name
    for (const [count, expected] of [[12, { s9: "9", s10: "01", s12: "03" }], [30, { s1: "11", s10: "19", s30: "42" }]]) {
      const masks = new Masks(many(count), {}, quietPanel)
      for (const { name, key, retired } of masks.structures) if (!retired) expect(chosenBy(masks, key), `${count} ${key}`).toBe(name)
      expect(masks.find("s3").key).toBe("")
      for (const [name, key] of Object.entries(expected)) expect(masks.find(name).key, name).toBe(key)
    }
    // What stands where one was retired keeps its digit; the tenth takes the one that is free.
    const ten = new Masks(many(10), {}, quietPanel)
    expect([ten.find("s4").key, ten.find("s10").key]).toEqual(["4", "3"])
    expect(chosenBy(ten, "3")).toBe("s10")
  })

  it("waits for the second digit no longer than the case is there", async () => {
    const waiting = []
    const structures = Array.from({ length: 12 }, (_, at) => ({ name: `s${at + 1}`, colour: "#e69f00" }))
    const masks = new Masks({ structures }, {}, () => ({ ...quietPanel(), showWaiting: (pressed) => waiting.push(pressed) }))
    masks.pressDigit("0")
    masks.leave()
    expect(waiting).toEqual(["0", ""])
    expect([masks.pressDigit("2"), masks.active.name]).toEqual([true, "s2"])
  })

  it("that is retired is kept as it was", async () => {
    const masks = new Masks({ structures: [{ name: "old", colour: "#000000", retired: true }, ...project.structures] }, {}, quietPanel)
    expect(masks.active.name).toBe("liver")
    masks.change(masks.find("old"), { locked: false })
    expect(masks.find("old").locked).toBe(true)
  })
})

describe("layers", () => {
  it("draw anew only what a stroke changed since it was on the screen", async () => {
    const [axial, coronal] = [makePane(volumeFacts), makePane(volumeFacts, "row", 10)]
    const { masks } = setUp(volumeFacts, axial, coronal)
    await masks.load(volumeFacts)
    masks.setSize(2)
    stroke(masks, "brush", axial, [10, 10])
    const first = axial.layers[0]
    expect(changeOf(first, undefined)).toBe(undefined)
    axial.painted()
    coronal.painted()
    stroke(masks, "brush", axial, [20, 10])
    stroke(masks, "brush", axial, [24, 12]) // two changes before the screen is drawn again
    const next = axial.layers[0]
    expect(changeOf(next, first.version)).toEqual([19, 9, 6, 4])
    expect(changeOf(next, first.version - 1)).toBe(undefined)
    expect(next.values[10 * 40 + 20]).toBe(1)
    const across = coronal.layers[0]
    expect([across.rows, across.columns, across.dirty]).toEqual([20, 40, [19, 5, 2, 1]])
    expect(across.values[5 * 40 + 20]).toBe(1)
    coronal.painted()
    const { version } = coronal.layers[0]
    stroke(masks, "brush", axial, [5, 25]) // beside this plane
    expect([coronal.layers[0].version, coronal.layers[0].dirty]).toEqual([version, undefined])
  })

  it("draw everything anew on another slice, after an undo, and after being hidden while something changed", async () => {
    const { masks, layout, pane, told } = setUp()
    await masks.load(volumeFacts)
    masks.setSize(15)
    stroke(masks, "brush", pane, [10, 10])
    pane.painted()
    const { version } = pane.layers[0]
    pane.hidden = true
    stroke(masks, "brush", pane, [20, 10])
    pane.painted() // without this layer
    expect(changeOf(pane.layers[0], version)).toEqual([13, 3, 14, 14])
    pane.hidden = false
    pane.painted()
    masks.apply("liver", told.acts[1].before)
    expect(pane.layers[0].dirty).toEqual([0, 0, 40, 30])
    pane.painted()
    stroke(masks, "brush", pane, [30, 10])
    pane.index = 6
    layout.refreshLayers()
    expect(pane.layers).toEqual([]) // nothing is painted there
    pane.index = 5
    layout.refreshLayers()
    expect(pane.layers[0].dirty).toBe(undefined)
  })

  it("are none for a case that is only compared with", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 10])
    expect(masks.layersFor(makePane({ ...volumeFacts, id: 8 }))).toEqual([])
  })

  it("follow a stroke on a large image with work for the dabbed area only", async () => {
    const facts = { id: 1, frames: 1, rows: 2048, columns: 2048, masks: [] }
    const pane = makePane(facts, "frame", 0)
    const { masks, told } = setUp(facts, pane)
    await masks.load(facts)
    masks.setSize(60)
    const tool = masks.tool("brush")
    tool.down(pane.at(300, 300), press)
    pane.painted()
    const begun = performance.now()
    for (let step = 0; step < 100; step++) {
      tool.move(pane.at(300 + 10 * step, 300 + 7 * step), press)
      const [, , width, height] = pane.layers[0].dirty ?? [0, 0, 0, 0]
      expect(width * height).toBeLessThan(80 * 80)
      pane.painted()
    }
    expect((performance.now() - begun) / 100).toBeLessThan(15) // under 1 on an idle machine
    tool.up(pane.at(1290, 993), press)
    expect(told.acts.length).toBe(1)
  })
})

describe("the masks of a case", () => {
  const stored = Uint8Array.from({ length: 1200 }, (_, at) => (at % 40 < 10 ? 1 : 0))
  const answer = { rows: 30, columns: 40, frames_total: 20, frames: { 5: toBase64(encode(stored)) } }
  const facts = { ...volumeFacts, masks: ["liver"] }

  it("are what the server has, bit for bit", async () => {
    answers.set("/api/v1/cases/7/masks/liver", answer)
    const { masks, pane } = setUp()
    await masks.load(facts)
    expect(masks.find("liver").grid.mask(5)).toEqual(stored)
    expect(pane.layers[0].values).toEqual(stored)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it("cannot be painted on before they are there: a stroke is the whole frame", async () => {
    answers.set("/api/v1/cases/7/masks/liver", answer)
    const { masks, pane, told } = setUp()
    const loading = masks.load(facts)
    stroke(masks, "brush", pane, [30, 10])
    expect([told.acts.length, told.remarks.at(-1)]).toEqual([0, "Wait until the mask of liver is loaded."])
    masks.pressDigit("2") // of which nothing is stored
    stroke(masks, "brush", pane, [30, 10])
    expect(told.acts.length).toBe(1)
    await loading
    masks.pressDigit("1")
    stroke(masks, "brush", pane, [30, 10])
    expect(countOf(pixels(told.acts[1].before.get(5)))).toBe(300)
  })

  it("are what was last seen here while there is no connection", async () => {
    answers.set("/api/v1/cases/7/masks/liver", answer)
    const { masks, pane, told } = setUp()
    await masks.load(facts)
    masks.pressDigit("2")
    stroke(masks, "brush", pane, [30, 10])
    const lesion = masks.find("lesion").grid.runs(5)
    await masks.load({ ...volumeFacts, id: 8 })
    for (const name of ["liver", "lesion"]) answers.set(`/api/v1/cases/7/masks/${name}`, new TypeError("no network"))
    await masks.load(volumeFacts)
    expect([masks.find("liver").grid.mask(5), masks.find("lesion").grid.runs(5)]).toEqual([stored, lesion])
    expect(told.faults).toEqual([])
    answers.set("/api/v1/cases/9/masks/liver", new TypeError("no network"))
    masks.pressDigit("2")
    masks.command("clearSlice")
    await masks.load({ ...volumeFacts, id: 8 })
    await masks.load(volumeFacts)
    expect(masks.find("lesion").grid.count).toBe(0) // what was taken away does not come back
    await masks.load({ ...facts, id: 9 }) // never seen, but painted
    expect(told.faults[0]).toContain("There is no connection")
    masks.pressDigit("2")
    stroke(masks, "brush", pane, [30, 10])
    expect(told.acts.at(-1)).toMatchObject({ case: 9, structure: "lesion" })
  })

  it("are newer where strokes wait to be sent or were taken back meanwhile", async () => {
    answers.set("/api/v1/cases/7/masks/liver", answer)
    const { masks } = setUp()
    const pending = [{ type: "mask", structure: "liver", frames: { 5: toBase64(encode(new Uint8Array(1200).fill(1, 0, 9))) } }]
    const loading = masks.load(facts, { pending })
    masks.apply("liver", new Map([[6, encode(new Uint8Array(1200).fill(1))]]))
    await loading
    expect([masks.find("liver").grid.countIn(5), masks.find("liver").grid.countIn(6)]).toEqual([9, 1200])
  })

  it.each([
    ["of another size", { ...answer, rows: 31 }, "It has 40 × 31 pixels in 20 frames, the image 40 × 30 in 20."],
    ["that is corrupt", { ...answer, frames: { 5: "AAAA" } }, "This mask is cut off"],
    ["that is no code", { ...answer, frames: { 5: "%" } }, "This mask is not in the code"],
    ["of a frame that is not there", { ...answer, frames: { 20: answer.frames[5] } }, "This image has no frame 21."],
    ["that does not come", undefined, "There is no mask."],
  ])("%s: a clear message, nothing is painted over it, and the page goes on", async (_name, told, reason) => {
    if (told) answers.set("/api/v1/cases/7/masks/liver", told)
    const { masks, pane, told: said } = setUp()
    await masks.load(facts)
    expect(said.faults[0]).toContain(`The mask of liver cannot be shown: ${reason}`)
    stroke(masks, "brush", pane, [30, 10])
    expect([said.acts.length, said.remarks.at(-1)]).toEqual([0, "The mask of liver could not be loaded. Load it again before you paint on it."])
    masks.pressDigit("2")
    stroke(masks, "brush", pane, [30, 10])
    expect(said.acts.length).toBe(1)
    answers.set("/api/v1/cases/7/masks/liver", answer)
    await masks.fetchStored(masks.find("liver"))
    masks.pressDigit("1")
    stroke(masks, "brush", pane, [30, 10])
    expect(said.acts.length).toBe(2)
  })

  it("of the case before do not come into the next one", async () => {
    answers.set("/api/v1/cases/7/masks/liver", answer)
    const { masks, told } = setUp()
    const first = masks.load(facts)
    const second = masks.load({ ...volumeFacts, id: 8 })
    await Promise.all([first, second])
    expect([masks.find("liver").grid.count, told.faults]).toEqual([0, []])
  })

  it("are left with the stroke under way complete", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    masks.tool("brush").down(pane.at(10, 10), press)
    masks.leave()
    expect([told.acts.length, told.acts[0].case]).toEqual([1, 7])
    stroke(masks, "brush", pane, [10, 10])
    expect(told.acts.length).toBe(1)
  })
})

describe("what others painted", () => {
  const frames = { 5: toBase64(encode(new Uint8Array(1200).fill(1, 100, 300))) }

  it("is shown as outlines below, and cannot be painted on", async () => {
    const { masks, pane } = setUp()
    await masks.load(volumeFacts)
    masks.others.show("model", { liver: frames })
    expect(pane.layers).toMatchObject([{ key: "mask:model: liver", colour: "#e69f00", fill: 0, outline: true }])
    stroke(masks, "brush", pane, [10, 20])
    expect(pane.layers.map(({ key }) => key)).toEqual(["mask:model: liver", "mask:liver"])
    masks.others.show("model", null)
    expect(pane.layers.map(({ key }) => key)).toEqual(["mask:liver"])
  })

  it("is taken over as one act for each structure", async () => {
    const { masks, pane, told } = setUp()
    await masks.load(volumeFacts)
    stroke(masks, "brush", pane, [10, 20])
    masks.others.show("model", { liver: frames, lesion: frames })
    masks.change(masks.find("lesion"), { locked: true })
    masks.settings.keepOff = false
    masks.others.adopt("model")
    expect(told.acts.length).toBe(2)
    expect(toBase64(masks.find("liver").grid.runs(5))).toBe(frames[5])
    expect([masks.find("lesion").grid.count, masks.active.name]).toEqual([0, "liver"])
  })

  it("comes from the server by reader, or is said not to be there", async () => {
    const empty = { rows: 30, columns: 40, frames_total: 20, frames: {} }
    answers.set("/api/v1/cases/7/masks/liver?reader=Ann%20B", { ...empty, frames })
    answers.set("/api/v1/cases/7/masks/lesion?reader=Ann%20B", empty)
    const { masks, pane, told } = setUp()
    await masks.load({ ...volumeFacts, others: [{ reader: "Ann B", masks: ["liver"], is_reference: true }] })
    expect([masks.others.isReference("Ann B"), masks.others.isReference("Carl")]).toEqual([true, false])
    await masks.others.showReader("Ann B")
    expect(fetch).toHaveBeenCalledTimes(1) // only what there is
    expect(pane.layers.length).toBe(1)
    masks.others.hide("Ann B", true)
    expect(pane.layers).toEqual([])
    masks.learnOthers([])
    await masks.others.showReader("Ann B")
    expect(fetch).toHaveBeenCalledTimes(3)
    await masks.others.showReader("Carl")
    expect(told.faults[0]).toBe("The masks of Carl cannot be shown: There is no mask.")
  })

  it("that does not fit is refused in words", async () => {
    const { masks, told, pane } = setUp()
    await masks.load(volumeFacts)
    masks.others.show("model", { liver: { 5: "AAAA" } })
    expect(told.faults[0]).toContain("The mask “model” cannot be shown")
    expect(pane.layers).toEqual([])
  })
})

describe("the brush's circle", () => {
  function drawn(masks, pane) {
    const arcs = []
    const context = { beginPath() {}, stroke() {}, arc: (...args) => arcs.push(args.slice(0, 3)) }
    masks.painter(context, pane)
    return arcs
  }

  it("is as large as what is painted, in canvas pixels, while a brush is in the hand", async () => {
    const [pane, other] = [makePane(volumeFacts), makePane(volumeFacts, "row", 13)]
    const { masks, layout } = setUp(volumeFacts, pane, other)
    await masks.load(volumeFacts)
    pane.matrix = [0, 3, -3, 0, 0, 0]
    masks.setSize(10)
    masks.tool("brush").hover(pane.at(12, 10))
    expect(drawn(masks, pane)).toEqual([])
    masks.choose("brush")
    expect(layout.tool.name).toBe("brush")
    expect(drawn(masks, pane)).toEqual([[12, 10, 15], [12, 10, 15]])
    expect(drawn(masks, other)).toEqual([])
    masks.choose("ball")
    expect(drawn(masks, other)[0].slice(0, 2)).toEqual([12, 5.5])
    expect(drawn(masks, other)[0][2]).toBeCloseTo(Math.sqrt(25 - 3.5 ** 2))
    masks.tool("ball").hover(null)
    expect(drawn(masks, pane)).toEqual([])
  })

  it("begins at a twenty-fifth of the smaller side, at least one pixel, until the reader gives it a size", async () => {
    const { masks } = setUp()
    for (const [rows, columns, size] of [[35, 40, 1], [512, 512, 20], [2048, 1024, 41], [10, 10, 1]]) {
      await masks.load({ ...volumeFacts, frames: 2, rows, columns })
      expect(masks.settings.size, `${rows} ${columns}`).toBe(size)
    }
    masks.command("larger")
    await masks.load(volumeFacts)
    expect(masks.settings.size).toBe(2)
  })

  it("grows and shrinks by the bracket keys, between one pixel and the largest", () => {
    const { masks } = setUp()
    for (let many = 0; many < 40; many++) masks.command("smaller")
    expect(masks.settings.size).toBe(1)
    masks.command("larger")
    expect(masks.settings.size).toBe(2)
    for (let many = 0; many < 60; many++) masks.command("larger")
    expect(masks.settings.size).toBe(400)
    expect(masks.command("flipX")).toBe(false)
  })

  it("goes when the tool is laid down, here or elsewhere", () => {
    const { masks, layout, told } = setUp()
    masks.choose("brush")
    masks.choose("brush")
    expect([masks.kind, layout.tool]).toEqual([null, null])
    masks.choose("ball")
    expect([masks.command("escape"), masks.kind, masks.command("escape")]).toEqual([true, null, false])
    masks.choose("eraser")
    layout.setTool({ name: "box" })
    expect([masks.kind, told.tools]).toEqual([null, ["brush", null, "ball", null, "eraser"]])
  })
})
