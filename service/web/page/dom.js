/** Building and finding elements. Text goes in as text, never as markup: file names are other people's words. */

const GLANCE_MS = 250;

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `on…` listens, `true` is an empty attribute, `false` none
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** The element of the page with this id. @returns {any} */
export function by(id) {
  return document.getElementById(id);
}

/**
 * Fill a `<select>`; the choice stays where it is still there.
 * @param {HTMLSelectElement} select @param {{value: string, text: string, disabled?: boolean}[]} options
 */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(({ value, text, disabled }) => element("option", { value, disabled }, text)));
  if (options.some(({ value, disabled }) => value === before && !disabled)) select.value = before;
}

/** Call `work` in the next frame, once however often it was asked for. */
export function oncePerFrame(work) {
  return once(work, requestAnimationFrame);
}

/** Call `work` soon: at once to the eye, but four times a second at most, since two hundred answers arrive in a row. */
export function oncePerGlance(work) {
  let last = -Infinity;
  const frame = () => {
    last = performance.now();
    work();
  };
  return once(frame, (run) => {
    const rest = last + GLANCE_MS - performance.now();
    // A hidden tab draws no frames, but its answers still arrive.
    if (rest > 0 || document.hidden) setTimeout(run, Math.max(0, rest));
    else requestAnimationFrame(run);
  });
}

function once(work, later) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    later(() => {
      asked = false;
      work();
    });
  };
}

/** Hand the person a file to keep. */
export function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
