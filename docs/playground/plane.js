// Points in the plane, from -1 to 1: presets, and an editor for pointers and for the keyboard.

import { normal, seeded } from "./network.js";

export const PRESETS = {
  xor: () => [[-0.6, -0.6, 0], [-0.6, 0.6, 1], [0.6, -0.6, 1], [0.6, 0.6, 0]],
  moons: () => sampled(50, (random, k, t) => {
    const angle = Math.PI * t;
    const [x, y] = k % 2 ? [1 - Math.cos(angle), 0.5 - Math.sin(angle)] : [Math.cos(angle), Math.sin(angle)];
    return [(x - 0.5) / 1.8 + 0.05 * normal(random), (y - 0.25) / 1.4 + 0.05 * normal(random)];
  }),
  rings: () => sampled(50, (random, k, t) => {
    const radius = (k % 2 ? 0.75 : 0.28) + 0.05 * normal(random);
    return [radius * Math.cos(2 * Math.PI * t), radius * Math.sin(2 * Math.PI * t)];
  }),
  halves: () => sampled(30, (random, k) => [0, 1].map(() => (k % 2 ? 0.4 : -0.4) + 0.2 * normal(random))),
  empty: () => [],
};

// Points of alternating classes; t runs from 0 to 1 in each class.
function sampled(count, place) {
  const random = seeded(7);
  return Array.from({ length: count }, (_, k) => {
    const [x, y] = place(random, k, (Math.floor(k / 2) + 0.5) / (count / 2));
    return [inside(x), inside(y), k % 2];
  });
}

// With two decimals, and 0 without a sign.
const shown = ([x, y]) => [x, y].map((number) => (Math.round(100 * number) / 100 + 0).toFixed(2)).join(", ");
const inside = (x) => Math.max(-1, Math.min(1, x));
const NEAR = 0.07;
const CLASS = ["1, a circle", "2, a square"];

export class PointEditor {
  // Calls onChange after each change of the points or of the cursor; says in words what the keyboard did.
  constructor(canvas, chosenClass, onChange, say) {
    Object.assign(this, { canvas, chosenClass, onChange, say });
    this.points = [];
    this.cursor = null; // shown once the keyboard is used
    canvas.addEventListener("click", (event) => this.click(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; onChange(); });
  }

  nearest([x, y]) {
    const distance = ([a, b]) => Math.hypot(a - x, b - y);
    return this.points.reduce((best, point) => (!best || distance(point) < distance(best) ? point : best), null);
  }

  click(event) {
    const box = this.canvas.getBoundingClientRect();
    const place = [2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height];
    const near = this.nearest(place);
    if (near && Math.hypot(near[0] - place[0], near[1] - place[1]) < NEAR) { this.remove(near); } else {
      this.add(place.map(inside), this.chosenClass());
    }
  }

  add([x, y], label) {
    this.points = [...this.points, [x, y, label]];
    this.onChange();
    this.say(`Point of class ${CLASS[label]}, at ${shown([x, y])}. ${this.count()}`);
  }

  remove(point) {
    this.points = this.points.filter((other) => other !== point);
    this.onChange();
    this.say(`Removed a point of class ${CLASS[point[2]]}. ${this.count()}`);
  }

  count() { return `${this.points.length} ${this.points.length === 1 ? "point" : "points"}.`; }

  key(event) {
    const step = event.shiftKey ? 0.2 : 0.05;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const cursor = this.cursor ?? [0, 0];
    if (event.ctrlKey || event.altKey || event.metaKey) { return; }
    if (event.key in moves) {
      this.cursor = cursor.map((x, k) => inside(x + moves[event.key][k]));
      this.onChange();
      this.say(`At ${shown(this.cursor)}`);
    } else if (event.key === "1" || event.key === "2") {
      this.cursor = cursor;
      this.add(cursor, Number(event.key) - 1);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      const near = this.nearest(cursor);
      if (near) { this.remove(near); }
    } else { return; }
    event.preventDefault();
  }
}
