// The page: one Python for both panels, and what it says while it loads.

import { Python, listed } from "./python.js";
import { startProgramPanel } from "./program.js";
import { startTrainingPanel } from "./training.js";

const element = (id) => document.getElementById(id);

// The switch of the site that this page is part of; without one, the system decides.
function takeTheme() {
  let theme = null;
  try { theme = localStorage.getItem("theme") ?? localStorage.getItem("mode"); } catch { /* storage is switched off */ }
  if (theme === "light" || theme === "dark") { document.documentElement.dataset.theme = theme; }
}

function onProgress({ progress, words, ready, failed }) {
  element("loading").hidden = Boolean(ready || failed);
  if (failed) { say(`Python could not be loaded: ${failed}. Reload the page to try again.`); }
  if (ready) { say("Python is ready."); }
  if (words && element("progress-words").textContent !== words) {
    element("progress-words").textContent = words;
    say(`${words} \u2026`);
  }
  if (words) { element("progress").value = progress; }
}

function say(words) { element("status").textContent = words; }

async function saySize() {
  const { megabytes, compressed } = await listed();
  if (!element("status").textContent) { // no run, and no link, has said something else
    say(`The first run loads Python: ${megabytes} MB, or ${compressed} MB from a server that compresses.`);
  }
}

takeTheme();
const python = new Python(onProgress);
startProgramPanel(python, say);
startTrainingPanel(python, say);
saySize();
