// The table of operations, by the names of the engine's, and the evaluator of a program.
var ops = {};
ops.divide_ieee = function (x, y) { return x / y; };
ops.power_over = powerOver;
ops.power_log = powerLog;
ops.chain = function (x, y) { return x === 0 ? 0 : x * y; };
ops.add = function (x, y) { return x + y; };
ops.subtract = function (x, y) { return x - y; };
ops.multiply = function (x, y) { return x * y; };
ops.divide = function (x, y) { return divide("divide", x, y); };
ops.pow = power;
ops.floor_divide = function (x, y) { return divmod("floor_divide", x, y)[0]; };
ops.modulo = function (x, y) { return divmod("modulo", x, y)[1]; };
ops.negate = function (x) { return -x; };
ops.identity = function (x) { return x; };
ops.detach = ops.identity;
ops.square = function (x) { return x * x; };
ops.reciprocal = function (x) { return divide("reciprocal", 1, x); };
ops.sqrt = checked("sqrt", Math.sqrt);
ops.cbrt = Math.cbrt;
ops.less = function (x, y) { return number(x < y); };
ops.at_most = function (x, y) { return number(x <= y); };
ops.equal = function (x, y) { return number(x === y); };
ops.unequal = function (x, y) { return number(x !== y); };
ops.same = function (x, y) { return number(won(x, y)); };
ops.gate = function (condition, x) { return condition !== 0 ? x : 0; };
ops.abs = Math.abs;
ops.sign = function (x) { return x !== x ? x : number(x > 0) - number(x < 0); };
ops.floor = whole("floor", Math.floor);
ops.ceil = whole("ceil", Math.ceil);
ops.trunc = whole("trunc", Math.trunc);
ops.round = whole("round", even);
ops.relu = function (x) { return x <= 0 ? 0 : x; };
ops.leaky_relu = function (x, slope) { return x < 0 ? slope * x : x; };
ops.elu = function (x, alpha) { return x < 0 ? alpha * Math.expm1(x) : x; };
ops.maximum = function (x, y) { return x >= y || x !== x ? x : y; };
ops.minimum = function (x, y) { return x <= y || x !== x ? x : y; };
ops.clip = function (x, low, high) {
  if (low > high) { fail("clip", [x, low, high], "is not defined: the lower bound is above the upper"); }
  return x < low ? low : x > high ? high : x;
};
ops.where = function (condition, x, y) { return condition !== 0 ? x : y; };
ops.exp = checked("exp", Math.exp, true);
ops.expm1 = checked("expm1", Math.expm1, true);
ops.log = checked("log", Math.log);
ops.log1p = checked("log1p", Math.log1p);
ops.log2 = checked("log2", Math.log2);
ops.log10 = checked("log10", Math.log10);
ops.sin = checked("sin", Math.sin);
ops.cos = checked("cos", Math.cos);
ops.tan = checked("tan", Math.tan);
ops.asin = checked("asin", Math.asin);
ops.acos = checked("acos", Math.acos);
ops.atan = Math.atan;
ops.atan2 = Math.atan2;
ops.hypot = function (x, y) { return norm([x, y]); };
ops.sinh = checked("sinh", Math.sinh, true);
ops.cosh = checked("cosh", Math.cosh, true);
ops.sech_squared = sechSquared;
ops.tanh = Math.tanh;
ops.asinh = Math.asinh;
ops.acosh = checked("acosh", Math.acosh);
ops.atanh = checked("atanh", Math.atanh);
ops.gaussian = gaussian;
ops.erf = erf;
ops.erfc = erfc;
ops.gelu = gelu;
ops.gelu_slope = geluSlope;
ops.sigmoid = sigmoid;
ops.logsigmoid = function (x) { return -softplus(-x); };
ops.softplus = softplus;
ops.silu = function (x) {
  if (x >= -700) { return x * sigmoid(x); }
  var half = Math.exp(0.5 * x);
  return x === -Infinity ? 0 : x !== x ? x : (x * half) * half;
};
ops.sum = function () { return total(arguments); };
ops.mean = function () { return mean(all(arguments)); };
ops.prod = function () { return all(arguments).reduce(function (x, y) { return x * y; }, 1); };
ops.dot = function (bias) {
  var half = (arguments.length - 1) / 2;
  for (var k = 1; k <= half; k++) { bias += arguments[k] * arguments[half + k]; }
  return bias;
};
ops.radial = radial;
ops.norm = function () { return norm(all(arguments)); };
ops.max = function () { return largest(all(arguments)); };
ops.min = function () { return extreme(all(arguments), function (x, y) { return x < y; }); };
ops.logsumexp = function () {
  var xs = all(arguments), top = largest(xs);
  return isFinite(top) ? top + Math.log1p(rest(xs, top)) : top;
};
ops.softmax = function (i) {
  var xs = all(arguments, 1), top = largest(xs);
  if (!isFinite(top)) { return NaN; }
  var found = exponentials(xs, top);
  return found[i] / total(found);
};
ops.log_softmax = function (i) {
  var xs = all(arguments, 1), top = largest(xs);
  return isFinite(top) ? (xs[i] - top) - Math.log1p(rest(xs, top)) : NaN;
};
ops.degrees = function (x) { return x * (180 / Math.PI); };
ops.radians = function (x) { return x * (Math.PI / 180); };
ops.copysign = function (x, y) {
  var size = Math.abs(x);
  return y < 0 || Object.is(y, -0) ? -size : size;
};
ops.fmod = function (x, y) {
  if (y === 0 && x === x) { fail("fmod", [x, y], "divides by zero"); }
  if (Math.abs(x) === Infinity && y === y) { fail("fmod", [x, y], "is not defined"); }
  return x % y;
};
ops.logit = function (x) {
  if (!(x > 0 && x < 1) && x === x) { fail("logit", [x], "is not defined"); }
  return x > 0.25 && x < 0.75 ? 2 * Math.atanh(2 * x - 1) : Math.log(x / (1 - x));
};
function timesLog(name, log, x, y, low) {
  if (x === 0 && y === y) { return x; }
  if (y <= low) { fail(name, [x, y], "is not defined"); }
  return x * log(y);
}
ops.xlogy = function (x, y) { return timesLog("xlogy", Math.log, x, y, 0); };
ops.xlog1py = function (x, y) { return timesLog("xlog1py", Math.log1p, x, y, -1); };
ops.entr = function (x) { return 0 - timesLog("entr", Math.log, x, x, 0); };
ops.mills = mills;
ops.ndtr = ndtr;
ops.log_ndtr = logNdtr;
// The evaluator of programs.
var evaluate = (function () {
"use strict";
var compare = {
  "<": function (x, y) { return x < y; }, "<=": function (x, y) { return x <= y; },
  ">": function (x, y) { return x > y; }, ">=": function (x, y) { return x >= y; },
  "==": function (x, y) { return x === y; }, "!=": function (x, y) { return x !== y; }
};
function along(path, point) {
  var slots = point.concat(path.constants.map(Number));
  for (var k = 0; k < path.code.length; k++) {
    var step = path.code[k], guard = compare[step[0]];
    if (guard) {
      if (guard(slots[step[1]], slots[step[2]]) !== (step[3] === 1)) { return null; }
    } else {
      var xs = [];
      for (var i = 1; i < step.length; i++) { xs.push(slots[step[i]]); }
      slots.push(ops[step[0]].apply(null, xs));
    }
  }
  if (path.failure) { throw new Failure(path.failure[0], path.failure[1]); }
  return { value: slots[path.value], gradient: path.gradient.map(function (slot) { return slots[slot] + 0; }) };
}
// Return the value and the gradient of a program at a point, or the reason why it has none.
return function (paths, point) {
  try {
    for (var k = 0; k < paths.length; k++) {
      var found = along(paths[k], point);
      if (found) { return found; }
    }
    return { kind: "unknown", failure: "the function takes a branch there that this page does not have" };
  } catch (error) {
    if (error instanceof Failure) { return { kind: error.kind, failure: error.reason }; }
    throw error;
  }
};
})();
