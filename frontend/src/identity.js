// Names for events, and times that never run backwards.

/** A random UUID, also where the page is not a secure context and `randomUUID` is missing. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}

let last = 0

/**
 * Now, as stored text; each call later than the one before, and later than `known`, the time of the answer it replaces:
 * the newest answer is the one that counts, also after the clock was set back.
 */
export function nextMoment(known) {
  last = Math.max(last + 1, Date.now(), (Date.parse(known ?? "") || 0) + 1)
  return new Date(last).toISOString()
}
