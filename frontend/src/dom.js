// Elements without a framework.

/** `element("button", {class: "key", title: "Fit", onclick: fit}, "Fit")`; a property that starts with "on" listens. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value)
  }
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

/** A button that a mouse press does not focus, so that Space and Enter stay the viewer's own keys. */
export function button(properties, ...children) {
  return element("button", { type: "button", onmousedown: (event) => event.preventDefault(), ...properties }, ...children)
}

/** A drawing of 16 by 16, by its path. Parsed rather than built, so that no address of a namespace is in the bundle. */
export function icon(path) {
  const made = element("span")
  made.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path fill-rule="evenodd" d="${path}"/></svg>`
  return made.firstChild
}
