import { afterEach, describe, expect, it, vi } from "vitest"

import { Cine } from "../src/cine.js"
import { Crosshair } from "../src/crosshair.js"
import { Drag } from "../src/drag.js"
import { freshView, zoomAt } from "../src/geometry.js"
import { WheelSteps } from "../src/interaction.js"
import { heatLayer } from "../src/overlay.js"
import { HU_PRESETS, nameOfWindow, presetWindow, presetsOf } from "../src/presets.js"
import { pinchedView, spread } from "../src/touch.js"

describe("the wheel", () => {
  it("goes one frame for a notch, whatever the mouse sends for it", () => {
    for (const pixels of [53, 100, 120]) expect(new WheelSteps().add(pixels)).toBe(1)
    expect(new WheelSteps().add(-120)).toBe(-1)
    expect(new WheelSteps().add(360)).toBe(3)
  })

  it("sums up what a touchpad sends in small parts, and forgets it when the way turns", () => {
    const wheel = new WheelSteps()
    const steps = Array.from({ length: 20 }, () => wheel.add(5))
    expect(steps.reduce((sum, one) => sum + one)).toBe(3)
    wheel.add(30)
    expect(wheel.add(-20)).toBe(0)
    expect(wheel.add(-20)).toBe(-1)
  })
})

describe("fingers", () => {
  it("zoom about where they are and move the image with them", () => {
    const stage = { width: 400, height: 300 }
    const from = spread([[100, 100], [140, 100]])
    expect(from).toEqual({ x: 120, y: 100, size: 20 })
    const to = spread([[90, 110], [170, 110]])
    const view = pinchedView(freshView(), stage, from, to)
    const zoomed = zoomAt(freshView(), stage, 120, 100, 2)
    expect(view).toEqual({ ...zoomed, panX: zoomed.panX + 10, panY: zoomed.panY + 10 })
  })
})

/** What `Drag` needs of a pane. */
function pane(tool = null) {
  return {
    tool, first: { centre: 0, width: 100 }, window: { centre: 0, width: 100 }, view: freshView(), element: { dataset: {} },
    place: (canvas) => ({ canvas }), size: () => ({ width: 100, height: 100 }),
    setWindow: vi.fn(), setView: vi.fn(), onClick: vi.fn(),
  }
}

describe("a drag", () => {
  it("is the tool's where there is one, up to its end", () => {
    const tool = { down: vi.fn(), move: vi.fn(), up: vi.fn() }
    const drag = new Drag(pane(tool), "tool", [1, 2], {})
    drag.move([3, 4], {})
    drag.up([5, 6], {})
    expect([tool.down, tool.move, tool.up].map((one) => one.mock.calls[0][0].canvas)).toEqual([[1, 2], [3, 4], [5, 6]])
  })

  it("is the window's where the tool declines, and where there is none", () => {
    for (const tool of [null, { down: () => false, move: vi.fn() }]) {
      const where = pane(tool)
      new Drag(where, "tool", [0, 0], {}).move([50, 0], {})
      expect(where.setWindow.mock.calls[0][0].width).toBeGreaterThan(100)
    }
  })

  it("that hardly moves is a click", () => {
    const where = pane()
    const click = new Drag(where, "tool", [10, 10], {})
    click.move([11, 11], {})
    click.up([11, 11], {})
    expect(where.onClick).toHaveBeenCalledTimes(1)
    const drag = new Drag(where, "tool", [10, 10], {})
    drag.move([30, 10], {})
    drag.up([10, 10], {})
    expect(where.onClick).toHaveBeenCalledTimes(1)
  })

  it("that is broken off tells its tool", () => {
    const tool = { down: vi.fn(), cancel: vi.fn() }
    new Drag(pane(tool), "tool", [0, 0], {}).cancel()
    expect(tool.cancel).toHaveBeenCalled()
  })
})

describe("a film", () => {
  afterEach(() => vi.useRealTimers())

  const playing = (loaded) => {
    const shown = { count: 4, index: 0, plane: "frame", volume: { isLoaded: loaded, want: vi.fn(() => true) }, setIndex: (to) => (shown.index = to) }
    return shown
  }

  it("goes on at its rate, and from the last frame to the first", () => {
    vi.useFakeTimers()
    const shown = playing(() => true)
    const cine = new Cine(() => shown)
    cine.setRate(10)
    cine.play()
    vi.advanceTimersByTime(250)
    expect(shown.index).toBe(2)
    vi.advanceTimersByTime(200)
    expect(shown.index).toBe(0)
    cine.stop()
    vi.advanceTimersByTime(1000)
    expect(shown.index).toBe(0)
  })

  it("waits for a frame that is still on its way", () => {
    vi.useFakeTimers()
    let here = false
    const shown = playing(() => here)
    const cine = new Cine(() => shown)
    cine.play()
    vi.advanceTimersByTime(500)
    expect([shown.index, shown.volume.want.mock.calls[0][0]]).toEqual([0, 1])
    here = true
    vi.advanceTimersByTime(100)
    expect(shown.index).toBe(1)
  })

  it("has no rate that no screen can show, and a single image does not play", () => {
    const cine = new Cine(() => ({ count: 1 }))
    for (const [asked, got] of [[500, 60], [0, 1], [NaN, 1], [24.4, 24]]) {
      cine.setRate(asked)
      expect(cine.rate).toBe(got)
    }
    cine.play()
    expect(cine.playing).toBe(false)
  })
})

describe("the crosshair", () => {
  const facts = { frames: 4, rows: 6, columns: 8 }
  const panes = ["frame", "row", "column"].map((plane) => ({ plane, facts, index: 0, reveal: vi.fn(), repaintOver: vi.fn() }))

  it("takes all planes to its point, and stays in the volume", () => {
    const crosshair = new Crosshair(() => panes)
    crosshair.moveTo([7.5, 2.5, 1.5])
    expect(panes.every((one) => one.reveal.mock.lastCall[0].join() === "7.5,2.5,1.5")).toBe(true)
    crosshair.moveTo([-3, 99, 4])
    expect(crosshair.at.map(Math.floor)).toEqual([0, 5, 3])
  })

  it("goes along when a pane goes to another slice", () => {
    const crosshair = new Crosshair(() => panes)
    crosshair.moveTo([1.2, 2.2, 3.2])
    crosshair.follow({ ...panes[1], index: 5 })
    expect(crosshair.at).toEqual([1.2, 5.5, 3.2])
    crosshair.follow({ ...panes[0], index: 3 }) // already there: the place inside the slice stays
    expect(crosshair.at).toEqual([1.2, 5.5, 3.2])
  })
})

describe("windows by name", () => {
  const ct = { modality: "CT", channels: 1, windows: [{ name: "as sent", centre: 30, width: 300 }] }

  it("are in HU for CT only, in the order of the digits", () => {
    expect(presetWindow(ct, "1")).toMatchObject({ centre: -600, width: 1500 })
    expect(presetWindow(ct, "9")).toMatchObject({ centre: 600, width: 2800 })
    expect(HU_PRESETS).toHaveLength(9)
    expect(presetWindow({ modality: "MR", channels: 1, windows: [] }, "1")).toBe(null)
    expect(presetsOf({ modality: "CT", channels: 3 })).toEqual([])
  })

  it("are those of the file elsewhere, and 0 is always the one from the values", () => {
    const mr = { modality: "MR", channels: 1, windows: [{ name: "", centre: 30, width: 300 }] }
    expect(presetsOf(mr).map(({ digit, name }) => [digit, name])).toEqual([["1", "Window 1 of the file"], ["0", "0.1 % to 99.9 % of the values"]])
    const picture = { kind: "u1", channels: 1, values: Uint8Array.from([0, 0, 10, 10]) }
    expect(presetWindow(ct, "0", picture).width).toBeCloseTo(10, 0)
    expect(nameOfWindow(ct, { centre: 40, width: 400 })).toBe("Soft tissue")
    expect(nameOfWindow(ct, { centre: 41, width: 400 })).toBe("")
  })
})

describe("windows with a curve", () => {
  const table = [[10, 0], [20, 255]]
  const film = {
    modality: "MG", channels: 1,
    windows: [
      { name: "NORMAL", centre: 15, width: 30, curve: table },
      { name: "VOI table 2", centre: 15, width: 30, curve: [[15, 255], [15, 0]] },
      { name: "NORMAL", centre: 15, width: 30, curve: "sigmoid" },
      { name: "Window 2", centre: 15, width: 30 },
    ],
  }

  it("are offered by name, and say what they are", () => {
    expect(presetsOf(film).map(({ digit, name }) => [digit, name])).toEqual([
      ["1", "NORMAL (table)"], ["2", "VOI table 2"], ["3", "NORMAL (sigmoid)"], ["4", "Window 2"],
      ["0", "0.1 % to 99.9 % of the values"],
    ])
    expect(presetWindow(film, "1").curve).toBe(table)
  })

  it("are named in the corner, also when they were stretched", () => {
    for (const window of film.windows) expect(nameOfWindow(film, window)).toBe(presetsOf(film)[film.windows.indexOf(window)].name)
    expect(nameOfWindow(film, { ...film.windows[0], curve: [...table] })).toBe("NORMAL (table)") // of the same case, asked for again
    expect(nameOfWindow(film, { ...film.windows[0], width: 31 })).toBe("table")
    expect(nameOfWindow(film, { ...film.windows[2], width: 31 })).toBe("sigmoid")
    expect(nameOfWindow(film, { ...film.windows[3], width: 31 })).toBe("")
  })

  it("are left by a window that has none", () => {
    const picture = { kind: "u1", channels: 1, values: Uint8Array.from([0, 0, 10, 10]) }
    expect(presetWindow(film, "0", picture).curve).toBe(undefined)
    expect(presetWindow(film, "4").curve).toBe(undefined)
  })
})

describe("a heat map", () => {
  const look = { opacity: 0.5, threshold: 0.2, colourMap: "viridis" }
  const map = { shape: [2, 2, 2], values: Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7]) }

  it("that is flat lies over the stored frames", () => {
    const flat = { shape: [1, 2], values: Float32Array.of(0, 1) }
    expect(heatLayer(flat, "k", { plane: "frame", index: 0, count: 1 }, look)).toMatchObject([{ kind: "heat", rows: 1, columns: 2, opacity: 0.5 }])
    expect(heatLayer(flat, "k", { plane: "row", index: 0, count: 9 }, look)).toEqual([])
  })

  it("with frames of its own is cut where the picture is, also when it has fewer", () => {
    const values = (plane, index, count) => [...heatLayer(map, "k", { plane, index, count }, look)[0].values]
    expect(values("frame", 0, 6)).toEqual([0, 1, 2, 3])
    expect(values("frame", 3, 6)).toEqual([4, 5, 6, 7])
    expect(values("row", 9, 10)).toEqual([2, 3, 6, 7])
    expect(values("column", 0, 10)).toEqual([0, 2, 4, 6])
  })
})
