// On the plain pages: a button that shows what is typed as a password, and how long a new one is so far.
// Without this script the forms work as well; the server says what it will not take.
(() => {
  for (const input of document.querySelectorAll(".field > input[type=password]")) {
    addButton(input)
    if (input.dataset.least) addMeter(input, Number(input.dataset.least))
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
