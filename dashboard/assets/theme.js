// Which theme this browser wants: dark unless a person chose light. Streamlit keeps its own note for each address
// that was loaded, so a choice is written for every page at once. Loaded by the sign-in page, before the first
// screen is there, and by the switch in the sidebar.
(() => {
  const KEY = "readroom-theme"
  const AGAIN_KEY = "readroom-theme-loaded-again"

  function chosen() {
    try {
      return localStorage.getItem(KEY) === "light" ? "light" : "dark"
    } catch {
      return "dark" // a browser that keeps nothing
    }
  }

  /** Tell Streamlit for all pages; `pages` are their names, the start page is "". */
  function apply(pages) {
    const theme = chosen()
    const folder = window.location.pathname.replace(/\/[^/]*$/, "")
    const note = JSON.stringify(theme === "light" ? "Light" : "Dark")
    try {
      for (const page of pages) localStorage.setItem(`stActiveTheme-${folder}/${page}-v2`, note)
    } catch {
      // then each load begins dark
    }
  }

  /** Colour the page itself: what lies outside the application, such as a dialog, and the sign-in page once chosen. */
  function paint() {
    document.documentElement.style.colorScheme = chosen()
  }

  /** Where the screen shows another theme than was chosen, load it once more; never twice in a row. */
  function insist(shown) {
    if (shown === chosen()) {
      sessionStorage.removeItem(AGAIN_KEY)
    } else if (!sessionStorage.getItem(AGAIN_KEY)) {
      sessionStorage.setItem(AGAIN_KEY, "yes")
      window.location.reload()
    }
  }

  function choose(theme, pages) {
    localStorage.setItem(KEY, theme)
    apply(pages)
    window.location.reload()
  }

  window.readroomTheme = { chosen, apply, paint, insist, choose }
  const pages = document.currentScript?.dataset.pages
  if (pages !== undefined) {
    apply(pages.split(","))
    if (localStorage.getItem(KEY)) paint() // until then the sign-in page looks as the system does
  }
})()
