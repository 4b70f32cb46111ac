// The run-length code of a binary mask, as stored and as sent: lengths of alternating runs, row by row, beginning with
// a run of zeros (which may have no length), each as unsigned LEB128. All lengths together are exactly the mask.

const WORD = 4 // pixels that are compared at once inside a long run
const ONES = 0x01010101

/** What a mask's code says when it cannot be one. */
export class MaskError extends Error {}

/**
 * @param {Uint8Array} mask zeros and ones
 * @returns {Uint8Array}
 */
export function encode(mask) {
  const size = mask.length
  const aligned = mask.byteOffset % WORD === 0
  const words = aligned ? new Uint32Array(mask.buffer, mask.byteOffset, Math.floor(size / WORD)) : null
  let bytes = new Uint8Array(256)
  let used = 0
  let at = 0
  let value = 0
  while (at < size) {
    const start = at
    while (at < size && mask[at] === value) {
      if (words && at % WORD === 0) {
        const same = value ? ONES : 0
        let word = at / WORD
        while (word < words.length && words[word] === same) word++
        if (word * WORD > at) {
          at = word * WORD
          continue
        }
      }
      at++
    }
    if (used + 5 > bytes.length) {
      const longer = new Uint8Array(bytes.length * 2)
      longer.set(bytes)
      bytes = longer
    }
    let length = at - start
    while (length > 127) {
      bytes[used++] = (length & 127) | 128
      length >>>= 7
    }
    bytes[used++] = length
    value = 1 - value
  }
  return bytes.slice(0, used)
}

/** The code of a mask without a single pixel. */
export function emptyRuns(size) {
  return encodeLengths([size])
}

function encodeLengths(lengths) {
  const bytes = []
  for (let length of lengths) {
    while (length > 127) {
      bytes.push((length & 127) | 128)
      length >>>= 7
    }
    bytes.push(length)
  }
  return Uint8Array.from(bytes)
}

/**
 * Calls `each(start, end)` for every run of ones.
 *
 * @throws {MaskError} the runs are cut off, or are not exactly `size` pixels
 */
export function eachRun(bytes, size, each) {
  let at = 0
  let value = 0
  let place = 0
  while (place < bytes.length) {
    let length = 0
    let scale = 1
    let byte
    do {
      if (place === bytes.length) throw new MaskError("This mask is cut off.")
      byte = bytes[place++]
      length += (byte & 127) * scale
      scale *= 128
    } while (byte & 128 && length <= size)
    if (at + length > size) throw tooLong(size)
    if (value && length) each(at, at + length)
    at += length
    value = 1 - value
  }
  if (at !== size) throw new MaskError(`This mask is cut off: it has ${at} pixels of ${size}.`)
}

function tooLong(size) {
  return new MaskError(`This mask has more pixels than the image, which has ${size}.`)
}

/** The mask of a code, as zeros and ones. */
export function decode(bytes, size) {
  const mask = new Uint8Array(size)
  eachRun(bytes, size, (start, end) => mask.fill(1, start, end))
  return mask
}

/** How many pixels are painted, without unfolding them. */
export function countOnes(bytes, size) {
  let count = 0
  eachRun(bytes, size, (start, end) => (count += end - start))
  return count
}

export function isSameRuns(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at])
}

const CHUNK = 0x8000 // more arguments than this overflow the stack of some browsers

export function toBase64(bytes) {
  let text = ""
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK))
  return btoa(text)
}

export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
  } catch {
    throw new MaskError("This mask is not in the code that was expected (base64).")
  }
}
