// The network in JavaScript, for pictures: thousands of outputs a frame. Python trains it and sends its parameters:
// layers of neurons, each a list of its weights and then its bias. The last layer is linear; its output is the logit.

const relu = (x) => (x > 0 ? x : 0);

export function logit(layers, activation, x, y) {
  const act = activation === "relu" ? relu : Math.tanh;
  let inputs = [x, y];
  layers.forEach((layer, k) => {
    inputs = layer.map((neuron) => {
      let sum = neuron[inputs.length];
      for (let i = 0; i < inputs.length; i++) { sum += neuron[i] * inputs[i]; }
      return k === layers.length - 1 ? sum : act(sum);
    });
  });
  return inputs[0];
}

// log(1 + exp(s)) without overflow.
const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));

// The mean cross-entropy over points [x, y, class].
export function meanLoss(layers, activation, points) {
  let sum = 0;
  for (const [x, y, label] of points) {
    const s = logit(layers, activation, x, y);
    sum += softplus(label ? -s : s);
  }
  return sum / points.length;
}

export function accuracy(layers, activation, points) {
  return points.filter(([x, y, label]) => (logit(layers, activation, x, y) > 0) === (label === 1)).length;
}

export const flat = (layers) => layers.flat(2);

export function shaped(parameters, like) {
  let k = 0;
  return like.map((layer) => layer.map((neuron) => neuron.map(() => parameters[k++])));
}

// Losses on a grid of size x size places: the parameters plus a and b times two directions, b downwards.
export function lossGrid(layers, activation, points, plane, size) {
  const centre = flat(layers), losses = new Float64Array(size * size), moved = new Array(centre.length);
  for (let row = 0; row < size; row++) {
    const b = plane.top + ((plane.bottom - plane.top) * row) / (size - 1);
    for (let column = 0; column < size; column++) {
      const a = plane.left + ((plane.right - plane.left) * column) / (size - 1);
      for (let k = 0; k < moved.length; k++) { moved[k] = centre[k] + a * plane.u[k] + b * plane.v[k]; }
      losses[row * size + column] = meanLoss(shaped(moved, layers), activation, points);
    }
  }
  return losses;
}

// A random direction in which each neuron's part is as long as its own parameters, so that no neuron dominates.
export function randomDirection(layers, random) {
  return layers.flatMap((layer) => layer.flatMap((neuron) => {
    const part = neuron.map(() => normal(random));
    const scale = Math.hypot(...neuron, 0.1) / Math.hypot(...part);
    return part.map((x) => x * scale);
  }));
}

// Random numbers from a seed, so that a picture can be had again (mulberry32).
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
