// Parts of the scripts of all widgets: numbers in words, scales, outlines and sliders, as in charts.py.
var MINUS = "\u2212";
function short(x, digits) {
  if (x !== x || x - x !== 0) { return x !== x ? "nan" : x > 0 ? "inf" : MINUS + "inf"; }
  digits = digits || 6;
  var parts = Math.abs(x).toExponential(digits - 1).split("e"), exponent = Number(parts[1]), text;
  if (exponent < -4 || exponent >= digits) {
    var size = Math.abs(exponent);
    text = stripped(parts[0]) + "e" + (exponent < 0 ? MINUS : "+") + (size < 10 ? "0" : "") + size;
  } else {
    text = stripped(Math.abs(x).toFixed(Math.max(0, digits - 1 - exponent)));
  }
  return (x < 0 ? MINUS : "") + text;
}
function stripped(text) { return text.indexOf(".") < 0 ? text : text.replace(/\.?0+$/, ""); }
function pixel(scale, x) {
  var low = scale[0], high = scale[1];
  x = Math.max(-1e250, Math.min(1e250, x));
  if (scale[4]) { low = Math.log10(low); high = Math.log10(high); x = Math.log10(Math.max(x, 1e-320)); }
  return Math.max(-1900, Math.min(1900, scale[2] + (scale[3] - scale[2]) * ((x - low) / (high - low))));
}
function place(scales, point) {
  return [0, 1].map(function (k) { return pixel(scales[k], point[k]).toFixed(1).replace(".0", ""); }).join(" ");
}
function lines(scales, points) { return points.length ? "M" + points.map(place.bind(null, scales)).join("L") : ""; }
function dots(scales, points) { return points.map(function (p) { return "M" + place(scales, p) + "h0"; }).join(""); }
// A slider over a list of numbers; calls back with the number that is chosen.
function choose(root, name, numbers, index, changed) {
  var slider = root.querySelector("input[data-of='" + name + "']");
  function show(k) {
    var text = short(numbers[k]);
    slider.value = k;
    slider.setAttribute("aria-valuetext", text);
    slider.parentNode.querySelector("output").textContent = text;
  }
  slider.max = numbers.length - 1;
  slider.addEventListener("input", function () { show(Number(slider.value)); changed(numbers[Number(slider.value)]); });
  show(index);
  return show;
}
// Keep the keys of sliders and buttons from a notebook, in which they would move between cells.
function keepKeys(root) {
  root.addEventListener("keydown", function (event) {
    var isOwn = /^(Arrow|Home$|End$|Page| $)/.test(event.key) || (event.key === "Enter" && !event.shiftKey);
    if (isOwn && !event.altKey && !event.ctrlKey && !event.metaKey) { event.stopPropagation(); }
  });
}
