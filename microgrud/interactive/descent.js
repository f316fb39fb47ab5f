// The script of `descent`: walks that are computed here, played and scrubbed.
function walk(paths, start, lr, momentum, steps) {
  var at = start.slice(), buffer = null, result = { positions: [], losses: [], end: "" };
  function finite(x) { return x - x === 0; }
  for (var k = 0; k <= steps; k++) {
    if (!at.every(finite)) { result.end = "overflow"; break; }
    var found = evaluate(paths, at);
    if (found.failure) { result.end = found.kind; break; }
    if (!finite(found.value)) { result.end = "overflow"; break; }
    if (!found.gradient.every(finite)) { result.end = "steep"; break; }
    result.positions.push(at);
    result.losses.push(found.value);
    buffer = buffer && momentum !== 0 ? sum(momentum, buffer, found.gradient) : found.gradient;
    at = sum(-lr, buffer, at);
  }
  return result;
}
// factor * xs + ys; a difference x - y is x + -y to the bit.
function sum(factor, xs, ys) { return xs.map(function (x, i) { return factor * x + ys[i]; }); }
var ends = {
  overflow: "is too large for a number. The walk diverges.",
  undefined: "has no value. The walk ends.",
  steep: "has no finite slope. The walk ends.",
  unknown: "takes a branch of the function that this page does not have. The walk ends."
};
function start(root, settings) {
  var steps = settings.steps, scales = settings.scales;
  var count = settings.starts.length, size = settings.starts[0].length;
  var momenta = settings.momenta, momentum = momenta[settings.momentum], walks = [], step = steps, timer = null;
  var rates = settings.rates.map(function (choices, k) { return choices[settings.chosen[k]]; });
  var sentences = root.querySelectorAll(".words li span"), words = root.querySelector(".words");
  var slider = root.querySelector("input[data-of=step]"), play = root.querySelector("button");
  root.querySelector(".controls").hidden = false;
  function set(kind, i, name, values) {
    root.querySelectorAll("[data-" + kind + "='" + i + "']").forEach(function (path) {
      path.setAttribute(name, values[path.closest(".losses") ? 1 : 0]);
    });
  }
  function compute() {
    walks = [];
    rates.forEach(function (lr, k) {
      root.querySelector("[data-of=caption" + k + "]").textContent = short(lr, 4);
      settings.starts.forEach(function (from) { walks.push(walk(settings.paths, from, lr, momentum, steps)); });
    });
    show(step);
  }
  function seen(point) {
    return point.every(function (x, i) { return i >= size || scales[i][0] <= x && x <= scales[i][1]; });
  }
  function inWords(point) {
    var text = point.map(function (x) { return short(x, 4); }).join(", ");
    return point.length === 1 ? text : "(" + text + ")";
  }
  function sentence(i) {
    var found = walks[i], last = found.losses.length - 1, names = [];
    if (rates.length > 1 || count === 1) { names.push("rate " + short(rates[Math.floor(i / count)], 4)); }
    if (count > 1) { names.push("from " + inWords(settings.starts[i % count])); }
    var name = names.join(", ");
    if (found.end && step > last) {
      return name + ": at step " + (last + 1) + " the loss " + ends[found.end];
    }
    var loss = found.losses[step], first = found.losses[0];
    var text = name + ": step " + step + ", at " + inWords(found.positions[step]) + ", loss " + short(loss, 4);
    if (!seen(found.positions[step])) { text += ", outside of the picture"; }
    if (step === 0 || step < last) { return text + "."; }
    if (loss < first) { return text + ", down from " + short(first, 4) + "."; }
    if (loss === first) { return text + ", as at the start."; }
    return text + ", up from " + short(first, 4) + ". " +
      (loss === Math.max.apply(null, found.losses) ? "The walk diverges." : "Its steps are too large.");
  }
  function show(wanted) {
    step = wanted;
    walks.forEach(function (found, i) {
      var end = Math.min(step, found.losses.length - 1) + 1;
      var losses = found.losses.slice(0, end).map(function (loss, k) { return [k, loss]; });
      var trail = found.positions.slice(0, end);
      if (size === 1) { trail = trail.map(function (p, k) { return [p[0], found.losses[k]]; }); }
      set("line", i, "d", [lines(scales, trail), lines(settings.losses, losses)]);
      set("dots", i, "d", [dots(scales, trail), dots(settings.losses, losses)]);
      var places = [place(scales, trail[end - 1]), place(settings.losses, losses[end - 1])];
      set("ball", i, "transform", places.map(function (text) { return "translate(" + text + ")"; }));
      sentences[i].textContent = sentence(i);
    });
    slider.value = step;
    slider.setAttribute("aria-valuetext", "step " + step);
    slider.parentNode.querySelector("output").textContent = step + " of " + steps;
  }
  function stop() {
    if (timer !== null) { window.clearInterval(timer); timer = null; }
    play.textContent = "play";
    words.setAttribute("aria-live", "polite");
  }
  play.addEventListener("click", function () {
    if (timer !== null) { stop(); return; }
    if (step === steps) { show(0); }
    words.setAttribute("aria-live", "off");  // ten sentences a second are too many
    play.textContent = "pause";
    timer = window.setInterval(function () {
      if (!root.isConnected || step >= steps) { stop(); return; }
      if (step === steps - 1) { stop(); }
      show(step + 1);
    }, Math.max(50, Math.min(400, 6000 / steps)));
  });
  slider.addEventListener("input", function () { stop(); show(Number(slider.value)); });
  settings.rates.forEach(function (choices, k) {
    choose(root, "rate" + k, choices, settings.chosen[k], function (lr) { rates[k] = lr; compute(); });
  });
  choose(root, "momentum", momenta, settings.momentum, function (x) { momentum = x; compute(); });
  compute();
}
