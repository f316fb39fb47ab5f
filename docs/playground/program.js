// The first panel: a program, its graph with the steps of the backward pass, and a slider for each leaf.

import { encode, programOf } from "./link.js";

const EXAMPLES = {
  "one neuron": `from microgrud import Value, tanh

x = Value(0.5)
w = Value(-1.5)
b = Value(2.0)
loss = (tanh(w * x + b) - 1.0) ** 2
loss.backward()
`,
  "gradients add up": `from microgrud import Value

x = Value(3.0)
y = x * x + 2.0 * x
y.backward()
print("dy/dx =", x.grad, "= 2x + 2")
`,
  "a step downhill": `from microgrud import Value

x, target = 2.0, 1.0
w = Value(-0.5)
for step in range(5):
    loss = (w * x - target) ** 2
    w.zero_grad()
    loss.backward()
    print(step, "loss", loss.data, "w", w.data)
    w.data -= 0.1 * w.grad
`,
  "a small network": `from microgrud.nn import MLP
from microgrud.losses import squared_error

model = MLP(2, [2, 1], activation="tanh", rng=0)
loss = squared_error(model([0.5, -1.0]), 1.0)
loss.backward()
`,
};
const SLOW = 5000; // milliseconds after which the page says how to end a program
const TALLEST = 20000; // pixels of the frame with the graph

const element = (id) => document.getElementById(id);

export function startProgramPanel(python, say) {
  const source = element("source");
  const state = { ran: "", changes: {}, shown: null, running: false, again: false, player: null };

  function fill(program) {
    source.value = program;
    numberLines();
  }

  function numberLines(wrong = null) {
    const count = source.value.split("\n").length;
    element("line-numbers").replaceChildren(...Array.from({ length: count }, (_, k) => {
      const line = document.createElement("span");
      line.textContent = `${k + 1}\n`;
      line.classList.toggle("wrong", k + 1 === wrong);
      return line;
    }));
    element("line-numbers").scrollTop = source.scrollTop;
  }

  async function run() {
    if (state.running) { state.again = true; return; }
    state.running = true;
    element("stop").disabled = false;
    const slow = setTimeout(() => {
      if (python.isReady) { say("The program is still running. Stop ends it."); }
    }, SLOW);
    try {
      show(await python.ask("run", { source: state.ran, changes: state.changes }));
      say("");
    } catch (error) {
      state.again = false;
      showError({ line: null, message: error.message });
    }
    clearTimeout(slow);
    state.running = false;
    element("stop").disabled = true;
    if (state.again) { state.again = false; run(); }
  }

  function show(answer) {
    element("output").textContent = answer.output;
    element("output").hidden = !answer.output;
    showError(answer.error);
    if (answer.error) { // a slider may have caused it, and can be moved back; those of an earlier program must go
      element("leaves").hidden = state.shown === null;
      return;
    }
    showGraph(answer);
    showTable(answer.rows);
    showSliders(answer.leaves);
    const notes = [
      answer.rows.length < answer.nodes && `The table has the last ${answer.rows.length} of ${answer.nodes} nodes.`,
    ];
    notes.push(answer.left_out && `${answer.left_out} more leaves have no slider.`);
    const moved = answer.moved.slice(0, 3).map(([name, number]) => `${name} = ${shortened(number)}`).join(", ");
    notes.push(moved && `The program ended with ${moved}; the numbers here are those that ${answer.root} was computed from.`);
    const others = answer.others.slice(0, 3).map(([name, grad]) => `${name}.grad = ${shortened(grad)}`).join(", ");
    notes.push(others && `The program ended with ${others}; the gradients here are those of one backward pass from ${answer.root}.`);
    element("graph-note").textContent = notes.filter(Boolean).join(" ");
  }

  function showError(error) {
    numberLines(error ? error.line : null);
    const place = error && error.line ? `Line ${error.line}: ` : "";
    element("error").textContent = error ? place + error.message : "";
    const isStale = Boolean(error) && !element("table").hidden;
    ["graph", "table"].forEach((id) => element(id).classList.toggle("stale", isStale));
    if (isStale) { element("graph-note").textContent = "The graph and its numbers are those of the last run without an error."; }
  }

  // The graph of a program is shown in a frame with an origin of its own, so that HTML in a label cannot reach this page.
  function showGraph(answer) {
    element("graph-help").hidden = true;
    element("graph").hidden = false;
    state.player = answer.player;
    sendPlayer();
  }

  function sendPlayer() {
    if (state.player === null) { return; }
    const { theme } = document.documentElement.dataset;
    element("graph").contentWindow.postMessage({ html: state.player, theme }, "*"); // to an opaque origin
  }

  function onFrame({ source: sender, data }) {
    if (sender !== element("graph").contentWindow) { return; }
    if (data?.ready) { sendPlayer(); }
    if (data?.height > 0) { element("graph").style.height = `${Math.min(data.height, TALLEST)}px`; }
  }

  function showTable(rows) {
    element("table").hidden = false;
    element("table").querySelector("tbody").replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = row.name;
      const cells = [row.op || "\u2013", row.data, row.grad].map((text, k) => {
        const cell = document.createElement("td");
        cell.textContent = k ? shortened(text) : text;
        if (k) { cell.dataset.exact = cell.title = text; }
        return cell;
      });
      line.append(name, ...cells);
      return line;
    }));
  }

  function showSliders(leaves) {
    element("leaves").hidden = leaves.length === 0;
    const kept = JSON.stringify(leaves.map((leaf) => [leaf.key, leaf.name, leaf.first]));
    if (kept === state.shown) { return; } // a slider that is being moved must stay
    state.shown = kept;
    element("sliders").replaceChildren(...leaves.flatMap(slider));
  }

  function slider(leaf) {
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = leaf.name;
    const reach = Math.max(2, 2 * Math.abs(leaf.first));
    const [range, number] = ["range", "number"].map((type) => Object.assign(document.createElement("input"), { type }));
    Object.assign(range, { min: leaf.first - reach, max: leaf.first + reach, step: reach / 100, value: leaf.now });
    Object.assign(number, { step: "any", value: leaf.now });
    range.setAttribute("aria-label", `${leaf.name}, slider`);
    number.setAttribute("aria-label", `${leaf.name}, number`);
    const move = (from, to) => from.addEventListener("input", () => {
      if (!Number.isFinite(from.valueAsNumber)) { return; }
      to.value = from === range ? Number(from.valueAsNumber.toPrecision(12)) : from.value;
      state.changes[leaf.key] = number.valueAsNumber;
      run();
    });
    move(range, number);
    move(number, range);
    return [name, range, number];
  }

  function runAnew() {
    Object.assign(state, { ran: source.value, changes: {}, shown: null });
    run();
  }

  async function copyLink() {
    const address = new URL(location.href);
    address.hash = `program=${encode(source.value)}`;
    history.replaceState(null, "", address);
    element("link").value = address.href;
    element("link-row").hidden = false;
    try {
      await navigator.clipboard.writeText(address.href);
      say("The link is copied.");
    } catch {
      element("link").select();
      say("The link is selected below; copy it with Ctrl+C.");
    }
  }

  function openLink() {
    try {
      const program = programOf(location.hash);
      if (program === null) { return false; }
      fill(program);
      element("example").value = "";
      say("This program came with the link. Read it, then press Run.");
    } catch (error) {
      showError({ line: null, message: error.message });
      return false;
    }
    return true;
  }

  element("example").append(...["", ...Object.keys(EXAMPLES)].map((name) => new Option(name || "of your own", name)));
  element("example").addEventListener("change", ({ target }) => { if (target.value) { fill(EXAMPLES[target.value]); } });
  element("run").addEventListener("click", runAnew);
  element("restore").addEventListener("click", runAnew);
  element("stop").addEventListener("click", () => python.restart("Stopped."));
  element("copy-link").addEventListener("click", copyLink);
  source.addEventListener("scroll", () => { element("line-numbers").scrollTop = source.scrollTop; });
  source.addEventListener("input", () => { numberLines(); element("example").value = ""; });
  source.addEventListener("keydown", (event) => onKey(event, source, runAnew));
  window.addEventListener("hashchange", openLink);
  window.addEventListener("message", onFrame);
  const [first] = Object.keys(EXAMPLES);
  fill(EXAMPLES[first]);
  element("example").value = first;
  openLink();
}

// Ctrl+Enter runs; Enter keeps the indentation, and adds to it after a colon. Tab is left to the keyboard's users.
function onKey(event, source, run) {
  if (event.key !== "Enter" || event.isComposing) { return; }
  if (event.ctrlKey || event.metaKey) { event.preventDefault(); run(); return; }
  if (event.shiftKey || event.altKey) { return; }
  const line = source.value.slice(0, source.selectionStart).split("\n").pop();
  const indent = line.match(/^ */)[0] + (line.trimEnd().endsWith(":") ? "    " : "");
  event.preventDefault();
  // Unlike a change of .value, this can be undone with Ctrl+Z.
  if (!document.execCommand("insertText", false, `\n${indent}`)) {
    source.setRangeText(`\n${indent}`, source.selectionStart, source.selectionEnd, "end");
  }
}

export function shortened(text) {
  const number = Number(text);
  return Number.isFinite(number) ? String(Number(number.toPrecision(6))) : text;
}
