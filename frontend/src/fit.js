// How high the viewer is.

const LOWEST_PX = 440

/** As high as the window leaves, so that the page never scrolls while somebody reads. */
export function fillWindow(own) {
  const scroller = document.querySelector('[data-testid="stMain"]')
  const block = document.querySelector('[data-testid="stMainBlockContainer"]')
  const above = own.getBoundingClientRect().top + (scroller?.scrollTop ?? 0)
  const below = block ? parseFloat(getComputedStyle(block).paddingBottom) || 0 : 0
  own.style.height = `${Math.max(LOWEST_PX, Math.floor(window.innerHeight - above - Math.max(12, below) - 2))}px`
}
