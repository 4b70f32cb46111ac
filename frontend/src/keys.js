// Which key does what, by its place on the keyboard (`event.code`), so that AZERTY and QWERTZ work alike.

/** In the order of the legend: [code, what the key is called, command, what it does, where]. */
export const KEYS = [
  ["ArrowLeft", "←", "previous", "Previous case", "both"],
  ["ArrowRight", "→", "next", "Next case", "both"],
  ["Enter", "Enter", "confirm", "Confirm and next case", "label"],
  ["KeyU", "U", "unsure", "Unsure, on or off", "both"],
  ["KeyQ", "Q", "unusable", "Image cannot be used (quality)", "both"],
  ["KeyN", "N", "note", "Write a note; Esc or Enter leaves it", "both"],
  ["Space", "Space", "reset", "Reset view and window", "both"],
  ["KeyI", "I", "invert", "Invert grey levels", "both"],
  ["KeyH", "H", "flipX", "Flip left and right", "both"],
  ["KeyV", "V", "flipY", "Flip up and down", "both"],
  ["KeyR", "R", "rotate", "Turn by 90°", "both"],
  ["KeyG", "G", "explain", "Explanation overlay, on or off", "review"],
  ["KeyM", "M", "hide", "Hold to hide the overlay", "review"],
]
const COMMANDS = new Map(KEYS.map(([code, , command, , where]) => [code, { command, where }]))
const OWN_SPACE = 'button, a[href], summary, [role="button"], [role="tab"], [role="radio"], [role="option"], [role="menuitem"]'
const TYPING = 'input:not([type="range"], [type="checkbox"], [type="radio"]), textarea, select, [contenteditable=""], [contenteditable="true"]'

/** Whether the key belongs to a field or a button that has the focus. */
export function isTaken(event, target) {
  if (!target || !target.matches) return false
  if (target.matches(TYPING)) return true
  if (target.matches('input[type="range"]')) return event.code.startsWith("Arrow")
  return (event.code === "Space" || event.code === "Enter") && Boolean(target.closest(OWN_SPACE))
}

/**
 * The command of a key press: {command, digit?, target?}, or null when the key is not ours.
 * Control combinations go by the letter on the key: Ctrl+Z is where the keyboard prints Z.
 */
export function commandOf(event, mode) {
  if (event.ctrlKey || event.metaKey) {
    const letter = event.key.toLowerCase()
    if (event.altKey || (letter !== "z" && letter !== "y")) return null
    return { command: letter === "y" || event.shiftKey ? "redo" : "undo" }
  }
  if (event.altKey) return null
  if (event.key === "?") return { command: "legend" }
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)
  if (digit) return event.shiftKey ? null : { command: "class", digit: digit[1] }
  if (event.shiftKey) return null
  const known = COMMANDS.get(event.code)
  return known && (known.where === "both" || known.where === mode) ? { command: known.command } : null
}

/** Commands that a held key may repeat; a class or an undo must be pressed each time. */
export const REPEATABLE = new Set(["previous", "next"])
