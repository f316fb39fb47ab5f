// Pictures on canvases: decision regions with points, the loss at each step, and a loss surface with its contours.

import { logit } from "./network.js";

const BANDS = 12;

// Fit the canvas to its size on the screen; return its context, in CSS pixels, and the size.
function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) { [canvas.width, canvas.height] = pixels; }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["one", "two", "middle", "low", "high", "ink", "faint", "line", "page", "mark"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const mixed = (from, to, share) => from.map((x, k) => Math.round(x + (to[k] - x) * share));

// Paint size x size pixels, each with the colour that a function gives, over the whole canvas.
function paint({ context, width, height }, size, colourAt, smooth) {
  const image = new ImageData(size, size);
  for (let k = 0; k < size * size; k++) { image.data.set([...colourAt(k % size, Math.floor(k / size)), 255], 4 * k); }
  const small = new OffscreenCanvas(size, size);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.drawImage(small, 0, 0, width, height);
}

export function drawRegions(canvas, network, points, cursor) {
  const drawing = prepared(canvas), { context, width, height } = drawing, colour = colours();
  if (network) {
    const [one, two, middle] = [colour.one, colour.two, colour.middle].map(channels), size = 60;
    paint(drawing, size, (column, row) => {
      const [x, y] = [(2 * (column + 0.5)) / size - 1, 1 - (2 * (row + 0.5)) / size];
      const p = 1 / (1 + Math.exp(-logit(network.layers, network.activation, x, y)));
      // A step at 0.5 shows the border between the classes.
      return mixed(middle, p > 0.5 ? two : one, 0.1 + 0.5 * Math.abs(2 * p - 1));
    }, true);
  }
  const place = ([x, y]) => [((x + 1) / 2) * width, ((1 - y) / 2) * height];
  context.lineWidth = 2;
  points.forEach(([x, y, label]) => {
    const [left, top] = place([x, y]);
    context.fillStyle = label ? colour.two : colour.one;
    context.strokeStyle = colour.page;
    context.beginPath();
    if (label) { context.rect(left - 6, top - 6, 12, 12); } else { context.arc(left, top, 7, 0, 2 * Math.PI); }
    context.fill();
    context.stroke();
  });
  if (cursor) {
    const [left, top] = place(cursor);
    context.strokeStyle = colour.ink;
    context.strokeRect(left - 11, top - 11, 22, 22);
  }
}

export function drawCurve(canvas, losses) {
  const { context, width, height } = prepared(canvas), colour = colours();
  const finite = losses.filter(Number.isFinite);
  const highest = losses.length ? 1.05 * finite.reduce((a, b) => Math.max(a, b), 0.1) : 1;
  const left = 46, bottom = height - 28, top = 10, right = width - 10;
  context.font = "13px system-ui, sans-serif";
  context.fillStyle = colour.faint;
  context.strokeStyle = colour.line;
  context.textAlign = "right";
  for (let k = 0; k <= 4; k++) {
    const level = bottom - ((bottom - top) * k) / 4;
    context.beginPath();
    context.moveTo(left, level);
    context.lineTo(right, level);
    context.stroke();
    context.fillText(((highest * k) / 4).toPrecision(2), left - 6, level + 4);
  }
  context.fillText(`step ${losses.length}`, right, height - 8);
  context.textAlign = "left";
  context.fillText("loss", left, height - 8);
  context.strokeStyle = colour.mark;
  context.lineWidth = 2;
  context.lineCap = "round"; // a single loss is a dot
  context.beginPath();
  const columns = Math.min(losses.length, Math.floor(right - left));
  for (let k = 0; k < columns; k++) {
    const index = columns < 2 ? 0 : Math.round((k * (losses.length - 1)) / (columns - 1));
    const x = left + ((right - left) * k) / Math.max(1, columns - 1);
    const y = bottom - ((bottom - top) * Math.min(losses[index], highest)) / highest;
    if (!k) { context.moveTo(x, y); }
    context.lineTo(x, y);
  }
  context.stroke();
}

// Bands of the logarithm of the loss; their borders are its contours. The walk is a list of places in the plane.
export function drawSurface(canvas, losses, size, plane, walk) {
  const drawing = prepared(canvas), { context, width, height } = drawing, colour = colours();
  const heights = Array.from(losses, (loss) => Math.log(Math.max(loss, 1e-9)));
  const finite = heights.filter(Number.isFinite), lowest = Math.min(...finite), highest = Math.max(...finite);
  const [low, high] = [colour.low, colour.high].map(channels), fine = 200;
  paint(drawing, fine, (column, row) => {
    const level = between(heights, size, (column * (size - 1)) / (fine - 1), (row * (size - 1)) / (fine - 1));
    const share = (level - lowest) / (highest - lowest || 1);
    return mixed(low, high, Math.min(BANDS - 1, Math.floor(share * BANDS)) / (BANDS - 1));
  }, false);
  const place = ([a, b]) => [
    ((a - plane.left) / (plane.right - plane.left)) * width, ((b - plane.top) / (plane.bottom - plane.top)) * height,
  ];
  context.lineJoin = "round";
  for (const [style, thickness] of [[colour.page, 5], [colour.mark, 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.beginPath();
    walk.forEach((point, k) => context[k ? "lineTo" : "moveTo"](...place(point)));
    context.stroke();
  }
  context.fillStyle = colour.mark;
  context.strokeStyle = colour.page;
  context.beginPath();
  context.arc(...place(walk[walk.length - 1]), 7, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  return [Math.exp(lowest), Math.exp(highest)];
}

function between(heights, size, column, row) {
  const left = Math.min(size - 2, Math.floor(column)), top = Math.min(size - 2, Math.floor(row));
  const a = column - left, b = row - top, at = (c, r) => heights[r * size + c];
  return (1 - b) * ((1 - a) * at(left, top) + a * at(left + 1, top)) +
    b * ((1 - a) * at(left, top + 1) + a * at(left + 1, top + 1));
}
