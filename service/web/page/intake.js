/** Ways in: drop files or folders anywhere, paste a picture, or choose files. */

import { by } from "./dom.js";

/** Names of unread files and folders that are shown; of more, only how many. */
const NAMED = 5;

/** @param {(files: File[]) => void} take */
export function takeFiles(take) {
  by("choose").addEventListener("click", () => by("files").click());
  by("files").addEventListener("change", ({ target }) => {
    take([...target.files]);
    target.value = "";
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) take([...clipboardData.files]);
  });
  takeDrops(take);
}

function takeDrops(take) {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (over) => document.body.toggleAttribute("data-dropping", over);
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) show(false);
  });
  document.addEventListener("drop", async (event) => {
    show(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const unread = [];
    take(await dropped(event.dataTransfer, unread));
    by("unread").hidden = !unread.length;
    by("unread").textContent = unreadWords(unread);
  });
}

function unreadWords(names) {
  const more = names.length - NAMED;
  return `Could not be read: ${names.slice(0, NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
}

/**
 * The files of a drop, those in folders included; entries have to be taken before anything is waited for.
 * @param {DataTransfer} transfer @param {string[]} unread takes the names of what could not be read
 */
async function dropped(transfer, unread) {
  const folders = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  const plain = [...transfer.files].filter((file) => !folders.some(({ name }) => name === file.name));
  const inside = await Promise.all(folders.map((folder) => filesIn(folder, unread)));
  return [...plain, ...inside.flat()];
}

async function filesIn(entry, unread) {
  const found = [];
  try {
    if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    const reader = entry.createReader();
    // A folder gives its entries in portions, the last of which is empty.
    for (let portion = [0]; portion.length; found.push(...portion)) {
      portion = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    }
  } catch {
    unread.push(entry.name);
  }
  const shown = found.filter(({ name }) => !name.startsWith("."));
  const files = await Promise.all(shown.map((each) => filesIn(each, unread)));
  return files.flat();
}
