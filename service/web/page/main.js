/** The page put together. */

import { answerEverything, forgetReplaced } from "./answering.js";
import { connection } from "./api.js";
import { by } from "./dom.js";
import { takeGestures } from "./gestures.js";
import { takeFiles } from "./intake.js";
import { takeKeys } from "./keyboard.js";
import { enterKey } from "./keyentry.js";
import { showCards } from "./modelcard.js";
import { chooseModels } from "./modelchooser.js";
import { Models } from "./models.js";
import { showOpened } from "./opened.js";
import { showList } from "./rows.js";
import { Stage } from "./stage.js";
import { chooseTheme } from "./theme.js";
import { askAgain, showToolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";
import { Worklist } from "./worklist.js";

const worklist = new Worklist();
const models = new Models();
const stage = new Stage();
const viewer = new Viewer(worklist, models, stage);
const askForMissing = answerEverything(worklist, models);
const showInList = showList(worklist);
const showModels = chooseModels(models, worklist);

showToolbar(worklist, askForMissing);
showOpened(worklist, viewer, stage);
showCards(models);
chooseTheme();
takeGestures(stage);
takeKeys(worklist, viewer, stage);
viewer.addEventListener("picture", ({ detail: { slice, picture } }) => showInList(slice, picture.canvas));
takeFiles((files) => {
  const first = !worklist.slices.size;
  worklist.add(files);
  askForMissing();
  if (first && files.length === 1) worklist.step(0);
});

async function loadModels() {
  try {
    await models.load();
    forgetReplaced(worklist, models);
    showModels();
    askForMissing();
    by("notice").hidden = Boolean(models.chief);
    by("notice").textContent = models.chief
      ? ""
      : "No model serves here; the model card says why. Slices wait until one does.";
  } catch (problem) {
    by("notice").hidden = false;
    by("notice").textContent = `The models could not be listed. ${problem.words ?? problem.message}`;
  }
}

connection.addEventListener("change", ({ detail: trouble }) => {
  by("notice").hidden = !trouble;
  by("notice").textContent = trouble
    ? "The service does not answer. It is asked again and again; nothing here is lost."
    : "";
  // It may have come back with other models.
  if (!trouble && models.versions.length) loadModels();
});

by("enter-key").addEventListener("click", () =>
  enterKey(async () => {
    await loadModels();
    askAgain(worklist, askForMissing);
  }),
);

for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => by(button.dataset.opens).showModal());
}
for (const button of document.querySelectorAll("dialog [data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// Two pictures side by side are too small on a phone.
if (matchMedia("(width < 60rem)").matches) document.querySelector('input[name="layout"][value="blend"]').checked = true;
await loadModels();
document.body.toggleAttribute("data-ready", true);
