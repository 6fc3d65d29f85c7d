/** Dark, light, or as the system says. */

import { by } from "./dom.js";

const THEMES = ["auto", "dark", "light"];

export function chooseTheme() {
  const button = by("theme");
  let at = 0;
  button.addEventListener("click", () => {
    at = (at + 1) % THEMES.length;
    document.documentElement.dataset.theme = THEMES[at];
    button.textContent = `Theme: ${THEMES[at]}`;
  });
}
