// Which key does what, by its place on the keyboard (`event.code`), so that AZERTY and QWERTZ work alike.
// A reader may give a command another key; that is kept in this browser.

/** In the order of the legend: [chord, what it is called, command, what it does, where, under which heading]. */
export const KEYS = [
  ["ArrowLeft", "←", "previous", "Previous case", "both", "Cases and answers"],
  ["ArrowRight", "→", "next", "Next case", "both", "Cases and answers"],
  ["Enter", "Enter", "confirm", "Confirm and next case", "label", "Cases and answers"],
  ["KeyU", "U", "unsure", "Unsure, on or off", "both", "Cases and answers"],
  ["KeyQ", "Q", "unusable", "Image cannot be used (quality)", "both", "Cases and answers"],
  ["KeyN", "N", "note", "Write a note; Esc or Enter leaves it", "both", "Cases and answers"],
  ["Slash", "/", "search", "Find a class by its name", "both", "Cases and answers"],
  ["Shift+KeyU", "Shift U", "confidence", "Confidence, one step up from 1 to 5", "both", "Cases and answers"],
  ["Shift+Enter", "Shift Enter", "acceptDraft", "Take over the draft of a model", "label", "Cases and answers"],
  ["Shift+Delete", "Shift Del", "rejectDraft", "Reject the draft of a model", "label", "Cases and answers"],

  ["ArrowUp", "↑", "frameBefore", "Frame before", "both", "Frames and planes"],
  ["ArrowDown", "↓", "frameAfter", "Next frame", "both", "Frames and planes"],
  ["PageUp", "Page ↑", "framesBefore", "Ten frames back", "both", "Frames and planes"],
  ["PageDown", "Page ↓", "framesAfter", "Ten frames on", "both", "Frames and planes"],
  ["Home", "Home", "firstFrame", "First frame", "both", "Frames and planes"],
  ["End", "End", "lastFrame", "Last frame", "both", "Frames and planes"],
  ["KeyC", "C", "play", "Play the frames, or stop", "both", "Frames and planes"],
  ["KeyT", "T", "planes", "Three planes of a volume, or one", "both", "Frames and planes"],
  ["KeyD", "D", "compare", "Side by side with another case or frame", "both", "Frames and planes"],
  ["KeyK", "K", "link", "Link the two sides, or not", "both", "Frames and planes"],

  ["Space", "Space", "reset", "Reset view and window", "both", "Looking"],
  ["KeyA", "A", "fit", "Fit to the window", "both", "Looking"],
  ["KeyO", "O", "actual", "One image pixel for one of the screen", "both", "Looking"],
  ["Equal", "+", "zoomIn", "Zoom in", "both", "Looking"],
  ["Minus", "−", "zoomOut", "Zoom out", "both", "Looking"],
  ["Shift+ArrowLeft", "Shift ←", "panLeft", "Move left", "both", "Looking"],
  ["Shift+ArrowRight", "Shift →", "panRight", "Move right", "both", "Looking"],
  ["Shift+ArrowUp", "Shift ↑", "panUp", "Move up", "both", "Looking"],
  ["Shift+ArrowDown", "Shift ↓", "panDown", "Move down", "both", "Looking"],
  ["KeyW", "W", "auto", "Window from 0.1 % to 99.9 % of the values", "both", "Looking"],
  ["Comma", ",", "narrower", "Narrower window", "both", "Looking"],
  ["Period", ".", "wider", "Wider window", "both", "Looking"],
  ["Shift+Comma", "Shift ,", "darker", "Lower window level", "both", "Looking"],
  ["Shift+Period", "Shift .", "brighter", "Higher window level", "both", "Looking"],
  ["KeyI", "I", "invert", "Invert grey levels", "both", "Looking"],
  ["KeyH", "H", "flipX", "Flip left and right", "both", "Looking"],
  ["KeyV", "V", "flipY", "Flip up and down", "both", "Looking"],
  ["KeyR", "R", "rotate", "Turn by 90°", "both", "Looking"],
  ["KeyS", "S", "smooth", "Smooth or crisp pixels", "both", "Looking"],
  ["Shift+KeyK", "Shift K", "colours", "Next colour map", "both", "Looking"],
  ["Shift+KeyF", "Shift F", "fullScreen", "Full screen", "both", "Looking"],
  ["KeyG", "G", "explain", "Explanation overlay, on or off", "review", "Looking"],
  ["KeyM", "M", "hide", "Hold to hide all overlays", "both", "Looking"],

  ["Escape", "Esc", "escape", "Give up what is being drawn; then back to the window", "label", "Drawing"],
  ["KeyX", "X", "box", "Box", "label", "Drawing"],
  ["Shift+KeyX", "Shift X", "ellipse", "Ellipse", "label", "Drawing"],
  ["KeyP", "P", "polygon", "Polygon", "label", "Drawing"],
  ["Shift+KeyP", "Shift P", "freehand", "Freehand", "label", "Drawing"],
  ["KeyY", "Y", "point", "Point", "label", "Drawing"],
  ["KeyL", "L", "length", "Length", "label", "Drawing"],
  ["Shift+KeyL", "Shift L", "angle", "Angle", "label", "Drawing"],
  ["Shift+KeyM", "Shift M", "nextMark", "Choose the next mark", "label", "Drawing"],
  ["Delete", "Del", "delete", "Delete what is chosen", "label", "Drawing"],
  ["Shift+KeyC", "Shift C", "copyToNext", "Copy to the next frame", "label", "Drawing"],
  ["KeyB", "B", "brush", "Brush", "label", "Painting"],
  ["Shift+KeyB", "Shift B", "threshold", "Brush inside a range of values", "label", "Painting"],
  ["KeyZ", "Z", "ball", "Brush through neighbouring frames", "label", "Painting"],
  ["KeyE", "E", "eraser", "Eraser", "label", "Painting"],
  ["KeyJ", "J", "fill", "Fill", "label", "Painting"],
  ["Shift+KeyR", "Shift R", "region", "Fill a connected region of like values", "label", "Painting"],
  ["Shift+KeyV", "Shift V", "pick", "Take the range of values from the image", "label", "Painting"],
  ["Shift+KeyJ", "Shift J", "interpolate", "Fill the frames between two painted ones", "label", "Painting"],
  ["Shift+KeyE", "Shift E", "clearSlice", "Take the structure away on this frame", "label", "Painting"],
  ["BracketLeft", "[", "smaller", "Smaller brush", "label", "Painting"],
  ["BracketRight", "]", "larger", "Larger brush", "label", "Painting"],
]

// Of what readers draw, a check of pixels has the box alone.
const CHECKING = new Set(["escape", "box", "nextMark", "delete"])

/** Whether a key means something in a mode: "label", "review", or "check" of what is burned in, where nothing is answered. */
export function holdsIn(mode, command, where, group) {
  if (mode !== "check") return where === "both" || where === mode
  return CHECKING.has(command) || (where === "both" && group !== "Cases and answers")
}

/** Commands that a held key may repeat; a class or an undo must be pressed each time. */
export const REPEATABLE = new Set([
  "previous", "next", "frameBefore", "frameAfter", "framesBefore", "framesAfter", "zoomIn", "zoomOut", "smaller", "larger",
  "panLeft", "panRight", "panUp", "panDown", "narrower", "wider", "darker", "brighter",
])

const OWN_SPACE = 'button, a[href], summary, [role="button"], [role="tab"], [role="radio"], [role="option"], [role="menuitem"]'
const TYPING = 'input:not([type="range"], [type="checkbox"], [type="radio"]), textarea, select, [contenteditable=""], [contenteditable="true"]'
const STEPS = /^(Arrow|Page|Home|End)/ // what a slider does with a key
const FIXED = /^(Shift\+)?(Digit|Numpad)\d$|^(Control|Shift|Alt|Meta|OS)(Left|Right)?$|^(Tab|CapsLock|F\d+|ContextMenu|Dead)$/
const STORED_UNDER = "readroom-keys"

/** Whether the key belongs to a field or a button that has the focus. */
export function isTaken(event, target) {
  if (!target || !target.matches) return false
  if (target.matches(TYPING)) return true
  if (target.matches('input[type="range"], [role="slider"]')) return STEPS.test(event.code)
  return (event.code === "Space" || event.code === "Enter") && Boolean(target.closest(OWN_SPACE))
}

/** The name of a key press as the table has it: "KeyX", "Shift+KeyX". */
export function chordOf(event) {
  return `${event.shiftKey ? "Shift+" : ""}${event.code}`
}

/** Which key each command has, with what the reader changed. */
export class KeyMap {
  /** @param {{getItem: Function, setItem: Function, removeItem: Function} | null} storage */
  constructor(storage = browserStorage()) {
    this.storage = storage
    this.changed = new Map(readChanges(storage))
    this.listeners = new Set()
    this.index()
  }

  index() {
    this.commands = new Map()
    for (const [chord, , command, , where, group] of KEYS) this.commands.set(this.changed.get(command) ?? chord, { command, where, group })
  }

  /** The command of a chord in a mode, or null. */
  find(chord, mode) {
    const known = this.commands.get(chord)
    return known && holdsIn(mode, known.command, known.where, known.group) ? known.command : null
  }

  chordOf(command) {
    return this.changed.get(command) ?? KEYS.find(([, , name]) => name === command)?.[0] ?? ""
  }

  isChanged(command) {
    return this.changed.has(command)
  }

  /**
   * Gives a command another key; the command that had it gets the old one.
   * @returns {string} "" or why not, or what else changed, as a sentence
   */
  give(command, chord) {
    if (FIXED.test(chord)) return "Digits choose classes and windows, and this key cannot be given away. Choose another one."
    const before = this.chordOf(command)
    if (chord === before) return ""
    const other = this.commands.get(chord)?.command
    this.put(command, chord)
    if (other) this.put(other, before)
    this.index()
    this.keep()
    const text = other && KEYS.find(([, , name]) => name === other)[3]
    return other ? `“${text}” had this key; it has ${nameOfChord(before)} now.` : ""
  }

  put(command, chord) {
    const own = KEYS.find(([, , name]) => name === command)[0]
    if (chord === own) this.changed.delete(command)
    else this.changed.set(command, chord)
  }

  reset() {
    this.changed.clear()
    this.index()
    this.keep()
  }

  /** Calls back when a key was changed; returns how to stop that. */
  onChange(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  keep() {
    for (const listener of this.listeners) listener()
    try {
      if (this.changed.size) this.storage?.setItem(STORED_UNDER, JSON.stringify([...this.changed]))
      else this.storage?.removeItem(STORED_UNDER)
    } catch {
      // A full or forbidden storage: the keys hold for this page.
    }
  }
}

function browserStorage() {
  try {
    return globalThis.localStorage ?? null
  } catch {
    return null // some browsers throw where storage is forbidden
  }
}

/** What was kept, as far as it still makes sense: commands that exist, each key once. */
function readChanges(storage) {
  try {
    const known = new Map(KEYS.map(([chord, , command]) => [command, chord]))
    const kept = new Map(JSON.parse(storage?.getItem(STORED_UNDER) ?? "[]").filter(([command, chord]) => known.has(command) && typeof chord === "string"))
    const chords = [...known].map(([command, chord]) => kept.get(command) ?? chord)
    return new Set(chords).size === chords.length ? kept : []
  } catch {
    return []
  }
}

export const keyMap = new KeyMap()

/**
 * The command of a key press: {command, digit?}, or null when the key is not ours.
 * Control combinations go by the letter on the key: Ctrl+Z is where the keyboard prints Z.
 */
export function commandOf(event, mode, map = keyMap) {
  if (event.ctrlKey || event.metaKey) {
    const letter = event.key.toLowerCase()
    if (event.altKey || (letter !== "z" && letter !== "y")) return null
    return { command: letter === "y" || event.shiftKey ? "redo" : "undo" }
  }
  if (event.altKey) return null
  if (event.key === "?") return { command: "legend" }
  const digit = /^(Digit|Numpad)(\d)$/.exec(event.code)
  if (digit) {
    if (!event.shiftKey) return mode === "check" ? null : { command: "class", digit: digit[2] }
    return digit[1] === "Digit" ? { command: "preset", digit: digit[2] } : null
  }
  const command = map.find(chordOf(event), mode)
  return command ? { command } : null
}

const NAMES = new Map(KEYS.map(([chord, name]) => [chord, name]))

/** What a chord is called, with letters as this keyboard prints them where `printed` (a layout map) tells. */
export function nameOfChord(chord, printed = null) {
  const shift = chord.startsWith("Shift+") ? "Shift " : ""
  const code = chord.replace("Shift+", "")
  const told = /^(Key|Bracket|Comma|Period|Slash|Minus|Equal|Semicolon|Quote|Backquote|Backslash|Intl)/.test(code) ? printed?.get(code) : null
  return shift + (told ? told.toUpperCase() : NAMES.get(code) ?? code.replace(/^Key/, ""))
}
