// NumPy's file format (numpy.org/doc/stable/reference/generated/numpy.lib.format.html), as far as images need it.

const KINDS = {
  u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array,
  f4: Float32Array, f8: Float64Array,
}

/**
 * @param {ArrayBuffer} buffer the bytes of a `.npy` file
 * @returns {{shape: number[], kind: string, values: ArrayLike<number>}} kind is "u1", "i2", "f4" and so on
 */
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer)
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]
  if (bytes.length < 12 || magic.some((byte, at) => bytes[at] !== byte)) throw new Error("This is not a NumPy array.")
  const view = new DataView(buffer)
  const long = bytes[6] > 1
  const start = long ? 12 : 10
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true)
  const header = new TextDecoder().decode(bytes.subarray(start, start + length))
  const described = /'descr':\s*'([<|=>])([a-z]\d)'/.exec(header)
  const shaped = /'shape':\s*\(([^)]*)\)/.exec(header)
  if (!described || !shaped || /'fortran_order':\s*True/.test(header)) throw new Error(`Unknown array: ${header.trim()}`)
  const [, order, kind] = described
  const TypedArray = KINDS[kind]
  if (!TypedArray || (order === ">" && TypedArray.BYTES_PER_ELEMENT > 1)) throw new Error(`Unknown array: ${header.trim()}`)
  const shape = shaped[1].split(",").map((part) => part.trim()).filter(Boolean).map(Number)
  const count = shape.reduce((product, size) => product * size, 1)
  const offset = start + length
  if (buffer.byteLength - offset !== count * TypedArray.BYTES_PER_ELEMENT) throw new Error("This array is cut off.")
  // The header is padded so that the values lie aligned; a copy is made only where a writer did not.
  const aligned = offset % TypedArray.BYTES_PER_ELEMENT === 0
  return { shape, kind, values: aligned ? new TypedArray(buffer, offset, count) : new TypedArray(buffer.slice(offset)) }
}
