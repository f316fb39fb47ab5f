// The second panel: points, a network that Python trains on them, and pictures that follow the training.

import { accuracy, flat, lossGrid, meanLoss, randomDirection, seeded } from "./network.js";
import { drawCurve, drawRegions, drawSurface } from "./pictures.js";
import { PointEditor, PRESETS } from "./plane.js";
import { shortened } from "./program.js";

const FRAME = 0.05; // seconds of training between two pictures
const SURFACE_EVERY = 150; // milliseconds
const GRID = 31;
const MOST_WALK = 400; // places of the walk that are kept

const element = (id) => document.getElementById(id);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

export function startTrainingPanel(python, say) {
  const panel = new TrainingPanel(python, say);
  panel.take(PRESETS.xor());
}

class TrainingPanel {
  constructor(python, say) {
    Object.assign(this, { python, say, seed: 0 });
    this.isRunning = false;
    this.loop = 0;
    this.generation = 0; // of networks: an answer for an earlier one is not for this one
    this.forget();
    const chosen = () => Number(document.querySelector("input[name=class]:checked").value);
    const says = (words) => { element("plane-says").textContent = words; };
    this.editor = new PointEditor(element("plane"), chosen, () => this.draw(), says);
    this.listen();
    this.sayRate();
    python.onRestart = () => this.begin(); // its network is gone
  }

  listen() {
    const on = (id, event, act) => element(id).addEventListener(event, act);
    on("preset", "change", () => this.take(PRESETS[element("preset").value]()));
    ["hidden", "activation"].forEach((id) => on(id, "change", () => this.begin()));
    on("rate", "input", () => this.sayRate());
    on("train", "click", () => (this.isRunning ? this.pause() : this.run()));
    on("step", "click", () => { this.pause(); this.request(1).catch((error) => this.fail(error)); });
    on("reset", "click", () => { this.seed += 1; this.begin(); });
    on("plane-kind", "change", () => this.draw(true));
    new ResizeObserver(() => this.draw(true)).observe(element("plane"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
  }

  forget() {
    Object.assign(this, { network: null, losses: [], walk: [], pair: null, surfaceAt: 0, told: 0, isNew: true });
    this.ended = null; // in words, why training cannot go on; the numbers are then too large for pictures
    this.generation += 1;
  }

  take(points) {
    this.editor.points = points;
    this.begin();
  }

  // A new network; before Python is loaded there is none to be seen.
  begin() {
    this.pause();
    this.forget();
    this.draw(true);
    if (this.python.isReady && this.editor.points.length) { this.request(0).catch((error) => this.fail(error)); }
  }

  rate() { return 10 ** Number(element("rate").value); }

  sayRate() {
    element("rate-value").textContent = shortened(this.rate().toPrecision(3));
    element("rate").setAttribute("aria-valuetext", element("rate-value").textContent);
  }

  async request(most) {
    if (this.editor.points.length === 0) { throw new Error("There are no points: set some, or choose others above."); }
    const { generation } = this, wasNew = this.isNew, activation = element("activation").value;
    this.isNew = false;
    const answer = await this.python.ask("train", {
      do: wasNew ? "new" : "train", most, seconds: FRAME, activation, seed: this.seed,
      hidden: element("hidden").value.split(",").filter(Boolean).map(Number), points: this.editor.points,
      optimizer: element("optimizer").value, rate: this.rate(), batch: Number(element("batch").value),
    });
    if (generation !== this.generation) { return; }
    this.network = { layers: answer.layers.map((layer) => layer.map((neuron) => neuron.map(Number))), activation };
    this.losses.push(...answer.losses.map(Number));
    this.remember();
    this.ended = null;
    if (answer.bad_loss !== null) {
      const loss = answer.bad_loss === "nan" ? "not a number" : "infinite";
      this.ended = `${this.after()} the loss is ${loss}: the learning rate was too high. ` +
        "Lower the learning rate, and press New network.";
      this.pause();
    }
    this.draw(!this.isRunning);
  }

  remember() {
    this.walk.push(flat(this.network.layers));
    if (this.walk.length > MOST_WALK) { this.walk = this.walk.filter((_, k) => k % 2 === 0); }
  }

  async run() {
    this.isRunning = true;
    this.loop += 1;
    const { loop } = this; // an earlier one may still wait for its next step
    element("train").textContent = "Pause";
    try {
      while (this.isRunning && loop === this.loop) {
        const began = performance.now(), speed = Number(element("speed").value);
        const most = Math.max(1, Math.round(speed * FRAME));
        await this.request(most);
        const rest = (1000 * most) / speed - (performance.now() - began);
        await new Promise((resume) => setTimeout(resume, Math.max(0, rest)));
      }
    } catch (error) { this.fail(error); }
  }

  pause() {
    if (!this.isRunning) { return; }
    this.isRunning = false;
    element("train").textContent = "Start";
    this.tell(true);
  }

  fail(error) {
    this.pause();
    element("verdict").textContent = error.message;
  }

  draw(whole = false) {
    const { network } = this, now = performance.now();
    const isDue = whole || now - this.surfaceAt > (calm.matches ? 1000 : SURFACE_EVERY);
    if (calm.matches && this.isRunning && !isDue) { return; }
    drawRegions(element("plane"), this.ended ? null : network, this.editor.points, this.editor.cursor);
    drawCurve(element("curve"), this.losses);
    element("counts").textContent = `step ${this.losses.length}`;
    element("curve-text").textContent = this.losses.length
      ? `The loss at each step: ${shortened(String(this.losses[0]))} at first, ${shortened(String(this.losses.at(-1)))} at last.`
      : "The loss at each step.";
    if (isDue) { this.surfaceAt = now; this.drawSurface(); this.tell(false); }
  }

  after() { return `After ${this.losses.length} ${this.losses.length === 1 ? "step" : "steps"}`; }

  drawSurface() {
    const { network, editor } = this, canvas = element("surface");
    if (!network || !editor.points.length || this.ended) {
      element("surface-text").textContent = this.ended ? "is not drawn." : "appears with the first step.";
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    const plane = element("plane-kind").value === "random" ? this.randomPlane() : this.movedPlane();
    const losses = lossGrid(network.layers, network.activation, editor.points, plane, GRID);
    const [low, high] = drawSurface(canvas, losses, GRID, plane, plane.walk);
    element("surface-text").textContent = `${plane.words} Darker is lower: from ${low.toPrecision(2)} to ${high.toPrecision(2)}.`;
  }

  randomPlane() {
    const random = seeded(1), { layers } = this.network;
    const [u, v] = [randomDirection(layers, random), randomDirection(layers, random)];
    return { u, v, left: -1.5, right: 1.5, top: 1.5, bottom: -1.5, walk: [[0, 0]], words: "The network is in the middle." };
  }

  // The plane of the two parameters that moved furthest from their start; the others keep their present numbers.
  movedPlane() {
    const now = this.walk.at(-1), first = this.walk[0];
    const order = now.map((x, k) => k).sort((j, k) => Math.abs(now[k] - first[k]) - Math.abs(now[j] - first[j]));
    // Keep a pair that is still far ahead, so that the picture does not jump.
    if (!this.pair || !this.pair.every((k) => order.slice(0, 5).includes(k))) { this.pair = order.slice(0, 2); }
    const [i, j] = this.pair, unit = (k) => now.map((_, m) => (m === k ? 1 : 0));
    const walk = this.walk.map((place) => [place[i] - now[i], place[j] - now[j]]);
    const span = (axis) => {
      const all = walk.map((place) => place[axis]), low = Math.min(...all), high = Math.max(...all);
      const reach = Math.max(1, 0.75 * (high - low)), middle = (low + high) / 2;
      return [middle - reach, middle + reach];
    };
    const [[left, right], [bottom, top]] = [span(0), span(1)];
    return { u: unit(i), v: unit(j), left, right, top, bottom, walk, words: "The line is the walk so far." };
  }

  // Results in words: at once when training pauses, otherwise every four seconds.
  tell(atOnce) {
    if (this.ended) { element("verdict").textContent = this.ended; return; }
    if (!this.network || !this.editor.points.length) { element("verdict").textContent = ""; return; }
    if (!atOnce && this.isRunning && performance.now() - this.told < 4000) { return; }
    this.told = performance.now();
    const { layers, activation } = this.network, { points } = this.editor;
    const loss = shortened(String(meanLoss(layers, activation, points)));
    const right = accuracy(layers, activation, points);
    element("verdict").textContent =
      `${this.after()} the loss is ${loss}; ${right} of ${points.length} points are on the right side.`;
  }
}
