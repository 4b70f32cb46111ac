// On the plain pages: a button that shows what is typed as a password, how long a new one is so far, and a form that is
// sent once: a second press would give up the answer to the first, and a link that works once has worked by then.
// Without this script the forms work as well; the server says what it will not take.
(() => {
  const PATIENCE_MS = 20000

  for (const input of document.querySelectorAll(".field > input[type=password]")) {
    addButton(input)
    if (input.dataset.least) addMeter(input, Number(input.dataset.least))
  }

  for (const form of document.forms) form.addEventListener("submit", (event) => sendOnce(form, event))
  // A page that comes back by the browser's own "back" may be sent again, and so may one whose sending was stopped.
  window.addEventListener("pageshow", () => [...document.forms].forEach((form) => form.removeAttribute("aria-busy")))

  function sendOnce(form, event) {
    if (form.hasAttribute("aria-busy")) return event.preventDefault()
    form.setAttribute("aria-busy", "true") // the button keeps its place and its focus; `plain.html` dims it
    setTimeout(() => form.removeAttribute("aria-busy"), PATIENCE_MS)
  }

  function addButton(input) {
    const label = document.querySelector(`label[for="${input.id}"]`)
    const button = document.createElement("button")
    button.type = "button"
    button.className = "show"
    button.setAttribute("aria-controls", input.id)
    button.addEventListener("click", () => show(input.type === "password"))
    input.form.addEventListener("submit", () => show(false)) // a shown one is kept by some browsers as ordinary text
    input.after(button)
    show(false)

    function show(shown) {
      input.type = shown ? "text" : "password"
      button.textContent = shown ? "Hide" : "Show"
      button.setAttribute("aria-pressed", String(shown))
      button.setAttribute("aria-label", `Show: ${label ? label.textContent : "password"}`)
    }
  }

  /** Length is what makes a password hard to guess, so length is what is measured. */
  function addMeter(input, least) {
    const meter = document.createElement("meter")
    Object.assign(meter, { min: 0, max: 2 * least, low: least, high: 1.5 * least, optimum: 2 * least, value: 0 })
    meter.setAttribute("aria-hidden", "true")
    const words = document.createElement("p")
    words.className = "length"
    words.id = `${input.id}_length`
    words.setAttribute("role", "status")
    input.setAttribute("aria-describedby", words.id)
    input.parentElement.after(meter, words)
    input.addEventListener("input", say)
    say()

    function say() {
      const length = [...input.value].length
      meter.value = Math.min(length, meter.max)
      if (!length) words.textContent = "A few words are easy to keep and hard to guess."
      else if (length < least) words.textContent = `${least - length} more character${least - length > 1 ? "s" : ""} needed.`
      else words.textContent = length < 1.5 * least ? "Long enough; longer is better." : "Good and long."
    }
  }
})()
