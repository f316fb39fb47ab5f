// The script of `tangent`: a point on a curve, its tangent, and the secant through a second point.
function start(root, settings) {
  var scales = settings.scales, low = scales[0][0], high = scales[0][1], paths = settings.paths;
  var name = settings.name, of = settings.of;
  var x = settings.at, nudge = settings.nudges[settings.nudges.length - 1], note = "";
  var part = {}, plot = root.querySelector(".plot"), words = root.querySelectorAll(".words p span");
  root.querySelectorAll(".plot [data-of]").forEach(function (path) { part[path.dataset.of] = path; });
  root.querySelector(".controls").hidden = false;
  function line(value, slope) {
    if (value - value !== 0 || slope - slope !== 0) { return ""; }
    var bottom = 2 * scales[1][0] - scales[1][1], top = 2 * scales[1][1] - scales[1][0];
    return lines(scales, [low, high].map(function (end) {
      var height = value + slope * (end - x), kept = Math.max(bottom, Math.min(top, height));
      return [kept === height ? end : x + (kept - value) / slope, kept];
    }));
  }
  function put(ball, at, value) {
    var seen = value - value === 0;
    ball.setAttribute("display", seen ? "inline" : "none");
    if (seen) { ball.setAttribute("transform", "translate(" + place(scales, [at, value]) + ")"); }
  }
  function draw() {
    var here = evaluate(paths, [x]), there = evaluate(paths, [x + nudge]);
    var value = here.failure ? NaN : here.value, slope = here.failure ? NaN : here.gradient[0];
    var nudged = there.failure ? NaN : there.value, change = nudged - value, secant = change / nudge;
    part.tangent.setAttribute("d", line(value, slope));
    part.secant.setAttribute("d", line(value, secant));
    put(part.point, x, value);
    put(part.nudged, x + nudge, nudged);
    var first = "At " + name + " = " + short(x) + ", " + of + "(" + name + ") = " + short(value) +
      ". The tangent has the slope " + short(slope) + ".";
    var second = "Nudged by " + short(nudge) + ", " + of + " changes by " + short(change) + ": " + short(change) +
      " / " + short(nudge) + " = " + short(secant) + " is the slope of the secant.";
    if (here.failure) { first = "At " + name + " = " + short(x) + ", " + of + " has no value: " + here.failure + "."; }
    if (here.failure || nudged - nudged !== 0) { second = "Nudged by " + short(nudge) + ", " + of + " has no value."; }
    if (here.failure) { second = ""; }
    words[0].textContent = note + first;
    words[1].textContent = second;
    note = "";
    return slope;
  }
  function move(to) {
    x = Math.max(low, Math.min(high, to));
    showX(Math.round((x - low) / (high - low) * settings.positions));
    root.querySelector("input[data-of=x]").setAttribute("aria-valuetext", short(x));
    root.querySelector("input[data-of=x]").parentNode.querySelector("output").textContent = short(x);
    draw();
  }
  var positions = [];
  for (var k = 0; k <= settings.positions; k++) { positions.push(low + (high - low) * k / settings.positions); }
  var showX = choose(root, "x", positions, 0, function (to) { x = to; draw(); });
  choose(root, "nudge", settings.nudges, settings.nudges.length - 1, function (to) { nudge = to; draw(); });
  root.querySelector("button").addEventListener("click", function () {
    var to = x - settings.lr * draw();
    if (to >= low && to <= high) { move(to); return; }
    note = "A step would lead to " + name + " = " + short(to) + ", outside of the picture. ";
    draw();
  });
  plot.style.touchAction = "pan-y";
  plot.style.cursor = "ew-resize";
  function drag(event) {
    var box = plot.getBoundingClientRect(), at = (event.clientX - box.left) / box.width * plot.viewBox.baseVal.width;
    move(low + (high - low) * (at - scales[0][2]) / (scales[0][3] - scales[0][2]));
  }
  plot.addEventListener("pointerdown", function (event) {
    plot.setPointerCapture(event.pointerId);
    drag(event);
  });
  plot.addEventListener("pointermove", function (event) {
    if (plot.hasPointerCapture(event.pointerId)) { drag(event); }
  });
  move(x);
}
