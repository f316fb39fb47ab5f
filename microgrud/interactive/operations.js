// The operations of microgrud's engine, and the evaluator of a program: see program.py, which puts this into a page.
var operations = (function () {
  "use strict";
  var ops = Object.create(null);
  // The reason why a program has no value: kind is "overflow" or "undefined".
  function Failure(kind, reason) { this.kind = kind; this.reason = reason; }
  function fail(name, xs, reason) {
    throw new Failure("undefined", name + "(" + Array.prototype.join.call(xs, ", ") + ") " + reason);
  }
  function overflow(name, xs) {
    throw new Failure("overflow", name + "(" + Array.prototype.join.call(xs, ", ") + ") is too large for a number");
  }
  // Raise as Python's math does: for a result that is no number, or infinite, of finite operands.
  function checked(name, f) {
    return function (x, y) {
      var z = f(x, y), given = x - x === 0 && (y === undefined || y - y === 0);
      if (z !== z && x === x && (y === undefined || y === y)) { fail(name, arguments, "is not defined"); }
      if (given && z - z !== 0) { overflow(name, arguments); }
      return z;
    };
  }
  function won(x, z) { return x === z || (x !== x && z !== z); }
  function number(outcome) { return outcome ? 1 : 0; }
  function twoProduct(a, b) {
    var product = a * b, t = 134217729 * a, ah = t - (t - a), al = a - ah;
    t = 134217729 * b;
    var bh = t - (t - b), bl = b - bh;
    return [product, ((ah * bh - product) + ah * bl + al * bh) + al * bl];
  }
  function twoSum(a, b) {
    var sum = a + b, virtual = sum - a;
    return [sum, (a - (sum - virtual)) + (b - virtual)];
  }
  // The correctly rounded sum (Shewchuk 1997): exact partial sums that do not overlap, added up from the largest.
  function total(xs) {
    var parts = [], plain = 0;
    for (var i = 0; i < xs.length; i++) {
      var x = xs[i], kept = [];
      plain += x;
      for (var j = 0; j < parts.length; j++) {
        var s = twoSum(Math.abs(x) < Math.abs(parts[j]) ? parts[j] : x, Math.abs(x) < Math.abs(parts[j]) ? x : parts[j]);
        if (s[1] !== 0) { kept.push(s[1]); }
        x = s[0];
      }
      kept.push(x);
      parts = kept;
    }
    if (plain - plain !== 0) { return plain; }
    var n = parts.length, high = n ? parts[--n] : 0, low = 0;
    while (n > 0) {
      var pair = twoSum(high, parts[--n]);
      high = pair[0];
      low = pair[1];
      if (low !== 0) { break; }
    }
    // Half-way cases round to even only if nothing lies below them.
    if (n > 0 && ((low < 0 && parts[n - 1] < 0) || (low > 0 && parts[n - 1] > 0))) {
      var twice = 2 * low, up = high + twice;
      if (twice === up - high) { high = up; }
    }
    return high;
  }
  // The power by an exponent that is a small integer, from products of pairs of numbers that hold twice the digits.
  function wholePower(x, n) {
    var high = 1, low = 0;
    for (var k = 0; k < n; k++) {
      var p = twoProduct(high, x);
      var s = twoSum(p[0], p[1] + low * x);
      high = s[0];
      low = s[1];
    }
    return high;
  }
  function powerIEEE(x, y) {
    if (y === 2) { return x * x; }
    if (x === 1 || (x === -1 && !isFinite(y) && y === y)) { return 1; }  // as in C; Math.pow gives NaN
    var size = Math.abs(x);
    if (y >= 0 && y <= 32 && Math.floor(y) === y && size > 1e-9 && size < 1e9) { return wholePower(x, y); }
    return Math.pow(x, y);
  }
  function power(x, y) {
    if (x < 0 && isFinite(x) && isFinite(y) && Math.floor(y) !== y) {
      fail("pow", [x, y], "is not defined: a negative base has whole exponents");
    }
    if (x === 0 && y < 0 && y > -Infinity) { fail("pow", [x, y], "divides by zero"); }
    var z = powerIEEE(x, y);
    if (isFinite(x) && isFinite(y) && z - z !== 0) { overflow("pow", [x, y]); }
    return z;
  }
  function powerOver(x, y, n) {
    var exponent = y - n;
    if (exponent === 2) { return x * x; }
    var virtual = exponent - y, error = (y - (exponent - virtual)) - (n + virtual);
    if (error === 0 || !isFinite(error) || x === 0 || !isFinite(x)) {
      if (x < 0 && isFinite(x) && isFinite(exponent) && Math.floor(exponent) !== exponent) { return NaN; }
      return powerIEEE(error !== 0 ? x + 0 : x, exponent);
    }
    if (x < 0 && Math.floor(y) !== y) { return NaN; }
    var z = powerIEEE(Math.abs(x), exponent);
    if (isFinite(z)) { z += z * (error * Math.log(Math.abs(x))); }
    return x < 0 && (y % 2 - n) % 2 !== 0 ? -z : z;
  }
  function divide(name, x, y) {
    if (y === 0) { fail(name, [x, y], "divides by zero"); }
    return x / y;
  }
  // As Python's float_divmod: the quotient rounded down, and the remainder with the sign of the divisor.
  function divmod(name, x, y) {
    if (y === 0) { fail(name, [x, y], "divides by zero"); }
    var rest = x % y, quotient = (x - rest) / y;
    if (rest !== 0) {
      if ((y < 0) !== (rest < 0)) { rest += y; quotient -= 1; }
    } else { rest = y < 0 || Object.is(y, -0) ? -0 : 0; }
    if (quotient === 0) { return [x / y < 0 || Object.is(x / y, -0) ? -0 : 0, rest]; }
    var whole = Math.floor(quotient);
    return [quotient - whole > 0.5 ? whole + 1 : whole, rest];
  }
  function even(x) {
    var down = Math.floor(x), rest = x - down;
    return rest < 0.5 ? down : rest > 0.5 ? down + 1 : down % 2 === 0 ? down : down + 1;
  }
  function whole(name, f) {
    return function (x) {
      if (x - x !== 0) { fail(name, [x], "is not defined"); }
      return f(x) + 0;
    };
  }
  function expm1(x) { return Math.expm1(x); }
  function gaussian(x, scale) {
    if (Math.abs(x) > 1e6 || x !== x) { return x === x ? 0 : x; }
    var square = twoProduct(x, x), value = Math.exp(-scale * square[0]);
    return value - value * (scale * square[1]);
  }
  function sechSquared(x) {
    var e = Math.exp(-2 * Math.abs(x));
    return 4 * e / ((1 + e) * (1 + e));
  }
  function sigmoid(x) {
    if (x >= 0) { return 1 / (1 + Math.exp(-x)); }
    var e = Math.exp(x);
    return e / (1 + e);
  }
  function softplus(x) { return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)); }
  function exponentials(xs, shift) {
    return xs.map(function (x) {
      var difference = x - shift, virtual = x - difference;
      var error = isFinite(difference) ? (x - (difference + virtual)) + (virtual - shift) : 0, e = Math.exp(difference);
      return e + e * error;
    });
  }
  function rest(xs, top) {
    var found = exponentials(xs, top);
    found.splice(xs.indexOf(top), 1);
    return total(found);
  }
  function largest(xs) { return Math.max.apply(null, xs); }
  function all(xs, first) { return Array.prototype.slice.call(xs, first || 0); }
  // Scaled by a power of two, whose squares neither overflow nor vanish.
  function norm(xs) {
    var top = 0, isNaN = false;
    for (var i = 0; i < xs.length; i++) {
      if (Math.abs(xs[i]) === Infinity) { return Infinity; }
      isNaN = isNaN || xs[i] !== xs[i];
      top = Math.max(top, Math.abs(xs[i]));
    }
    if (isNaN || top === 0) { return isNaN ? NaN : 0; }
    var scale = Math.pow(2, Math.max(-1000, Math.min(1000, Math.floor(Math.log2(top))))), terms = [];
    xs.forEach(function (x) { terms.push.apply(terms, twoProduct(x / scale, x / scale)); });
    return Math.sqrt(total(terms)) * scale;
  }
  function radial() {
    var n = arguments[0], half = (arguments.length - 1) / 2, exponents = all(arguments, 1).slice(0, half);
    var xs = all(arguments, 1 + half), degree = 0, isNaN = false, isFar = false, top = 0;
    xs.forEach(function (x, i) {
      isNaN = isNaN || x !== x;
      if (Math.abs(x) === Infinity) { isFar = true; degree += exponents[i]; }
      top = Math.max(top, Math.abs(x));
    });
    if (isNaN || isFar) { return isNaN || degree >= n ? NaN : 0; }
    if (top === 0) { return exponents.every(function (e) { return e === 0; }) ? (n ? Infinity : 1) : NaN; }
    var scale = Math.pow(2, Math.max(-1000, Math.min(1000, Math.floor(Math.log2(top))))), order = -n, terms = [];
    var product = 1;
    xs.forEach(function (x, i) {
      terms.push.apply(terms, twoProduct(x / scale, x / scale));
      order += exponents[i];
      for (var k = 0; k < exponents[i]; k++) { product *= x / scale; }
    });
    var squares = total(terms), denominator = n % 2 ? Math.sqrt(squares) : 1;
    for (var k = 0; k < Math.floor(n / 2); k++) { denominator *= squares; }
    var result = product / denominator;
    for (k = 0; k < Math.abs(order); k++) { result = order > 0 ? result * scale : result / scale; }
    return result;
  }

  ops.divide_ieee = function (x, y) { return x / y; };
  ops.power_over = powerOver;
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
  ops.elu = function (x, alpha) { return x < 0 ? alpha * expm1(x) : x; };
  ops.maximum = function (x, y) { return x >= y || x !== x ? x : y; };
  ops.minimum = function (x, y) { return x <= y || x !== x ? x : y; };
  ops.clip = function (x, low, high) {
    if (low > high) { fail("clip", [x, low, high], "is not defined: the lower bound is above the upper"); }
    return x < low ? low : x > high ? high : x;
  };
  ops.where = function (condition, x, y) { return condition !== 0 ? x : y; };
  ops.exp = checked("exp", Math.exp);
  ops.expm1 = checked("expm1", Math.expm1);
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
  ops.sinh = checked("sinh", Math.sinh);
  ops.cosh = checked("cosh", Math.cosh);
  ops.sech_squared = sechSquared;
  ops.tanh = Math.tanh;
  ops.asinh = Math.asinh;
  ops.acosh = checked("acosh", Math.acosh);
  ops.atanh = checked("atanh", Math.atanh);
  ops.gaussian = gaussian;
  ops.sigmoid = sigmoid;
  ops.logsigmoid = function (x) { return -softplus(-x); };
  ops.softplus = softplus;
  ops.silu = function (x) {
    if (x >= -700) { return x * sigmoid(x); }
    var half = Math.exp(0.5 * x);
    return x === -Infinity ? 0 : x !== x ? x : (x * half) * half;
  };
  ops.sum = function () { return total(arguments); };
  ops.mean = function () { return total(arguments) / arguments.length; };
  ops.prod = function () { return all(arguments).reduce(function (x, y) { return x * y; }, 1); };
  ops.dot = function (bias) {
    var half = (arguments.length - 1) / 2;
    for (var k = 1; k <= half; k++) { bias += arguments[k] * arguments[half + k]; }
    return bias;
  };
  ops.radial = radial;
  ops.norm = function () { return norm(all(arguments)); };
  ops.max = function () { return largest(all(arguments)); };
  ops.min = function () { return Math.min.apply(null, all(arguments)); };
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
  ops.Failure = Failure;
  return ops;
})();
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
        slots.push(operations[step[0]].apply(null, xs));
      }
    }
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
      if (error instanceof operations.Failure) { return { kind: error.kind, failure: error.reason }; }
      throw error;
    }
  };
})();
