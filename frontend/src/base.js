// Where Readroom lies on its host: at the root, or below a path that a proxy gives it (`readroom up --prefix`).

/** What stands before our paths, from the address that this module was loaded from; "" at the root. */
export function baseOf(module) {
  const { pathname } = new URL(module)
  const end = pathname.lastIndexOf("/assets/viewer/")
  return end < 0 ? "" : pathname.slice(0, end)
}

const BASE = baseOf(import.meta.url)

/** What the browser asks for where we, and the server's answers, say `path`. */
export function at(path) {
  return BASE + path
}
