// What keys and buttons do to one pane.

import { fitScale, turned, zoomAt } from "./geometry.js"
import { presetWindow } from "./presets.js"
import { COLOUR_MAPS } from "./renderers/looks.js"
import { NARROWEST, autoWindow } from "./window.js"

const ZOOM_STEP = 1.25
const WINDOW_STEP = 1.15
const LEVEL_SHARE = 0.05 // of the window's width
const PAN_SHARE = 0.08 // of the pane
const MANY_FRAMES = 10

const COMMANDS = {
  reset: (pane) => pane.reset(),
  fit: (pane) => pane.setView({ ...pane.view, zoom: 1, panX: 0, panY: 0 }),
  actual: (pane) => pane.setView({ ...pane.view, zoom: 1 / fitScale(pane.shape(), pane.size(), pane.view.turns), panX: 0, panY: 0 }),
  zoomIn: (pane) => zoom(pane, ZOOM_STEP),
  zoomOut: (pane) => zoom(pane, 1 / ZOOM_STEP),
  panLeft: (pane) => pan(pane, -1, 0),
  panRight: (pane) => pan(pane, 1, 0),
  panUp: (pane) => pan(pane, 0, -1),
  panDown: (pane) => pan(pane, 0, 1),
  flipX: (pane) => pane.setView({ ...pane.view, flipX: !pane.view.flipX, panX: -pane.view.panX }),
  flipY: (pane) => pane.setView({ ...pane.view, flipY: !pane.view.flipY, panY: -pane.view.panY }),
  rotate: (pane) => pane.setView(turned(pane.view)),
  auto: (pane) => pane.picture() && pane.setWindow(autoWindow(pane.picture())),
  narrower: (pane) => changeWindow(pane, 0, 1 / WINDOW_STEP),
  wider: (pane) => changeWindow(pane, 0, WINDOW_STEP),
  darker: (pane) => changeWindow(pane, LEVEL_SHARE, 1), // a higher level shows the same value darker
  brighter: (pane) => changeWindow(pane, -LEVEL_SHARE, 1),
  invert: (pane) => pane.lookAs({ inverted: !pane.inverted }),
  smooth: (pane) => pane.lookAs({ smooth: !pane.smooth }),
  colours: (pane) => pane.volume.channels === 1 && pane.lookAs({ colourMap: after(Object.keys(COLOUR_MAPS), pane.colourMap) }),
  frameBefore: (pane) => pane.setIndex(pane.index - 1),
  frameAfter: (pane) => pane.setIndex(pane.index + 1),
  framesBefore: (pane) => pane.setIndex(pane.index - MANY_FRAMES),
  framesAfter: (pane) => pane.setIndex(pane.index + MANY_FRAMES),
  firstFrame: (pane) => pane.setIndex(0),
  lastFrame: (pane) => pane.setIndex(pane.count - 1),
}

/** Does what a command asks for, where an image is; false where the command is not about looking at one pane. */
export function runCommand(pane, name) {
  if (!Object.hasOwn(COMMANDS, name)) return false
  if (pane.facts) COMMANDS[name](pane)
  return true
}

/** The window of a digit or of the menu; without an image, or where this case has none of it, nothing happens. */
export function choosePreset(pane, value) {
  const chosen = pane.facts && presetWindow(pane.facts, value, pane.picture())
  if (chosen) pane.setWindow(chosen)
}

/** To where the pointer is, or else to the middle. */
function zoom(pane, factor) {
  const { width, height } = pane.size()
  const [x, y] = pane.pointed ?? [width / 2, height / 2]
  pane.setView(zoomAt(pane.view, pane.size(), x, y, factor))
}

function pan(pane, across, down) {
  const { width, height } = pane.size()
  const { view } = pane
  pane.setView({ ...view, panX: view.panX + across * width * PAN_SHARE, panY: view.panY + down * height * PAN_SHARE })
}

function changeWindow(pane, shift, factor) {
  const { centre, width, curve } = pane.window
  pane.setWindow({ name: "set by hand", centre: centre + shift * width, width: Math.max(NARROWEST, width * factor), curve })
}

function after(names, name) {
  return names[(names.indexOf(name) + 1) % names.length]
}
