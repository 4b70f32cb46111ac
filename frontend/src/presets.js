// Windows that are asked for by name. HU presets only for CT: elsewhere the same numbers mean nothing.

import { autoWindow, sameWindow } from "./window.js"

/** By Shift+digit, in this order: [name, width, level] in HU. */
export const HU_PRESETS = [
  ["Lung", 1500, -600],
  ["Soft tissue", 400, 40],
  ["Brain", 80, 40],
  ["Bone", 2500, 480],
  ["Liver", 150, 90],
  ["Mediastinum", 350, 50],
  ["Stroke", 40, 40],
  ["Subdural", 300, 100],
  ["Temporal bone", 2800, 600],
]

/**
 * What the menu of a case offers: [{value, digit, name, window}]; `window` null means "from the values".
 * Digits 1 to 9: HU presets for CT, else the windows of the file; 0 is always the window from the values.
 */
export function presetsOf(facts) {
  if ((facts.channels ?? 1) !== 1) return []
  const isCt = facts.modality === "CT"
  const ofFile = (facts.windows ?? []).map((window, at) => ({ name: nameOfFiles(window, at), window }))
  const known = isCt ? HU_PRESETS.map(([name, width, centre]) => ({ name, window: { name, centre, width } })) : []
  const numbered = (isCt ? known : ofFile).slice(0, 9).map((preset, at) => ({ digit: String(at + 1), ...preset }))
  const rest = isCt ? ofFile.map((preset) => ({ digit: "", ...preset })) : []
  const all = [...rest, ...numbered, { digit: "0", name: "0.1 % to 99.9 % of the values", window: null }]
  return all.map((preset, at) => ({ value: preset.digit || `file ${at + 1}`, ...preset }))
}

/** The window of a digit or of a choice in the menu, or null where this case has none under it. */
export function presetWindow(facts, value, picture) {
  const preset = presetsOf(facts).find((one) => one.value === value)
  if (!preset) return null
  return preset.window ?? (picture ? autoWindow(picture) : null)
}

/** The preset that a window is, or undefined where it was set by hand. */
export function presetOfWindow(facts, seen) {
  return presetsOf(facts).find(({ window }) => window && sameWindow(window, seen))
}

/** What a window is called in the corner: its preset's name; where it was set by hand its curve, "" without one. */
export function nameOfWindow(facts, seen) {
  return presetOfWindow(facts, seen)?.name ?? curveName(seen)
}

/** A file may have a table and a window of one name. */
function nameOfFiles(window, at) {
  const name = window.name || `Window ${at + 1} of the file`
  const curve = curveName(window)
  return !curve || name.toLowerCase().includes(curve) ? name : `${name} (${curve})`
}

function curveName({ curve = null }) {
  return Array.isArray(curve) ? "table" : (curve ?? "")
}
