// Asking the server, with refusals in words for the reader.

import { at } from "./base.js"

/** What cannot be shown, in words for the reader. */
export class LoadError extends Error {}

/** Fetches and refuses in words. */
export async function fetchChecked(path, options = {}) {
  let response
  try {
    response = await fetch(at(path), { credentials: "same-origin", ...options })
  } catch (error) {
    if (options.signal?.aborted) throw error // the reader has gone on; nothing is wrong
    throw new LoadError("There is no connection to the server.")
  }
  if (response.ok) return response
  const reason = await response.json().then((told) => told.reason, () => null)
  const text = response.status === 401 ? "You are signed out." : reason ?? `The server answered ${response.status}.`
  throw Object.assign(new LoadError(text), { status: response.status })
}
