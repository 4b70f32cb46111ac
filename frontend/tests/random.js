/** The same numbers from 0 to 1 on every machine. */
export function random(seed) {
  let state = seed
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648
}
