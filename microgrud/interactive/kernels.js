// Kernels of microgrud's engine in JavaScript, each after the function of its name in the engine; program.py puts them
// into a page. They compute the same numbers as those of the engine: arithmetic to the bit, functions to a few ulp.

// The reason why a program has no value: its kind is "overflow" or "undefined", as Python's errors tell them apart.
function Failure(kind, reason) { this.kind = kind; this.reason = reason; }
function fail(name, xs, reason) {
  throw new Failure("undefined", name + "(" + Array.prototype.join.call(xs, ", ") + ") " + reason);
}
function overflow(name, xs) {
  throw new Failure("overflow", name + "(" + Array.prototype.join.call(xs, ", ") + ") is too large for a number");
}
// Raise as Python's math does: for a result that is no number, or infinite, of finite operands.
function checked(name, f, overflows) {
  return function (x) {
    var z = f(x);
    if (z - z !== 0 && x - x === 0) {
      if (overflows) { overflow(name, [x]); }
      fail(name, [x], "is not defined");
    }
    if (z !== z && x === x) { fail(name, [x], "is not defined"); }
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
// The same numbers in an order in which their sums overflow only if the sum of all does.
function alternating(xs) {
  var up = xs.filter(function (x) { return x > 0; }), down = xs.filter(function (x) { return !(x > 0); }), found = [];
  for (var sum = 0; up.length && down.length; sum += found[found.length - 1]) {
    found.push((sum > 0 ? down : up).pop());
  }
  return found.concat(up, down);
}
// The correctly rounded sum (Shewchuk 1997): exact partial sums that do not overlap, added up from the largest. It is
// not finite if a partial sum overflows.
function exactSum(xs) {
  var parts = [];
  for (var i = 0; i < xs.length; i++) {
    var x = xs[i], kept = [];
    for (var j = 0; j < parts.length; j++) {
      var s = twoSum(Math.abs(x) < Math.abs(parts[j]) ? parts[j] : x, Math.abs(x) < Math.abs(parts[j]) ? x : parts[j]);
      if (s[1] !== 0) { kept.push(s[1]); }
      x = s[0];
    }
    kept.push(x);
    parts = kept;
  }
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
  return high + 0;
}
// The sum, also where partial sums overflow.
function total(xs) {
  xs = all(xs);
  var sum = exactSum(xs), scale = Math.pow(2, 64), rest = xs.filter(function (x) { return !isFinite(x); });
  if (isFinite(sum)) { return sum; }
  if (rest.length) { return rest.reduce(function (x, y) { return x + y; }); }
  sum = exactSum(alternating(xs));
  return isFinite(sum) ? sum : exactSum(xs.map(function (x) { return x / scale; })) * scale;
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
    if (x - x !== 0) { (x === x ? overflow : fail)(name, [x], "is not defined"); }
    return f(x) + 0;
  };
}
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
// The first of equal numbers, and NaN if one is NaN.
function extreme(xs, exceeds) {
  return xs.reduce(function (x, y) { return x !== x ? x : y !== y || exceeds(y, x) ? y : x; });
}
function largest(xs) { return extreme(xs, function (x, y) { return x > y; }); }
// The mean, even where the sum overflows: then of numbers scaled by a power of two, with the rest of each rounding.
function mean(xs) {
  var n = xs.length, sum = total(xs), scale = Math.pow(2, 60);
  if (isFinite(sum) || !xs.every(isFinite)) { return sum / n; }
  xs = xs.map(function (x) { return x / scale; });
  sum = exactSum(xs);
  var quotient = sum / n, product = twoProduct(quotient, n);
  return (quotient + ((sum - product[0]) - product[1] + exactSum(xs.concat(-sum))) / n) * scale;
}
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
// The mantissa, from 1/2 to 1, and the exponent.
function frexp(x) {
  if (x === 0) { return [x, 0]; }
  var exponent = Math.max(-1022, Math.floor(Math.log2(Math.abs(x)))), mantissa = ldexp(x, -exponent);
  while (Math.abs(mantissa) >= 1) { mantissa /= 2; exponent++; }
  while (Math.abs(mantissa) < 0.5) { mantissa *= 2; exponent--; }
  return [mantissa, exponent];
}
// x times a power of two, rounded once if x is of about the size of 1.
function ldexp(x, exponent) {
  while (exponent > 1000) { x *= Math.pow(2, 1000); exponent -= 1000; }
  if (exponent < -1900) { return 0 * x; }
  if (exponent < -1000) { x *= Math.pow(2, -900); exponent += 900; }
  return x * Math.pow(2, exponent);
}
function radial() {
  var n = arguments[0], half = (arguments.length - 1) / 2, exponents = all(arguments, 1).slice(0, half);
  var xs = all(arguments, 1 + half), degree = 0, isNaN = false, isFar = false;
  xs.forEach(function (x, i) {
    isNaN = isNaN || x !== x;
    if (Math.abs(x) === Infinity) { isFar = true; degree += exponents[i]; }
  });
  if (isNaN || isFar) { return isNaN || degree >= n ? NaN : 0; }
  var parts = xs.map(frexp), squares = 0, product = 1;
  var tops = parts.filter(function (part) { return part[0] !== 0; }).map(function (part) { return part[1]; });
  var top = tops.length ? Math.max.apply(null, tops) : 0, shift = -n * top;
  parts.forEach(function (part, i) {
    var scaled = ldexp(part[0], part[1] - top);
    squares += scaled * scaled;
    shift += exponents[i] * part[1];
    for (var k = 0; k < exponents[i]; k++) { product *= part[0]; }
  });
  var denominator = n % 2 ? Math.sqrt(squares) : 1;
  for (var k = 0; k < Math.floor(n / 2); k++) { denominator *= squares; }
  var quotient = product / denominator;
  if (quotient - quotient !== 0) { return quotient; }
  var parted = frexp(quotient);
  return ldexp(parted[0], parted[1] + shift);
}
// x**(y - n) * log(x)**k, and its limit at 0.
function powerLog(k, n, x, y) {
  var logarithm, power, logarithms = 1;
  if (x === 0 && y === y) {
    var vanishes = y > n || (y === 0 && n === 0);
    logarithm = vanishes ? 0 : -Infinity;
    power = vanishes ? 0 : Infinity;
  } else if (x > 0) {
    logarithm = Math.log(x);
    power = powerOver(x, y, n);
  } else { return NaN; }
  for (var i = 0; i < k; i++) { logarithms *= logarithm; }
  if ((power >= Math.pow(2, -400) && power <= Math.pow(2, 400)) || x === 0) { return power * logarithms; }
  var root = powerOver(x, 0.5 * y, 0.5 * n);
  return root * logarithms * root;
}

// --- error function and normal distribution: within 4 ulp ---

var SQRT_HALF = [0.7071067811865476, -4.833646656726457e-17];
var TWO_OVER_SQRT_PI = [1.1283791670955126, 1.533545961316588e-17];
var ONE_OVER_SQRT_TWO_PI = 0.3989422804014327;
// erf(x) for |x| < 0.8 as a sum of two numbers: its series.
function erfParts(x) {
  var terms = [], term = x;
  for (var n = 0; n < 2 || Math.abs(term) > 1e-20 * Math.abs(x); n++) {
    terms.push(term / (2 * n + 1));
    term *= -x * x / (n + 1);
  }
  var series = total(terms), product = twoProduct(TWO_OVER_SQRT_PI[0], series);
  return [product[0], product[1] + TWO_OVER_SQRT_PI[1] * series];
}
// erfc(x) for x >= 0.8: its continued fraction, from a term on at which the rest is known well enough. The rounding
// errors of the square, of the fraction and of 2/sqrt(pi) are corrected for at once.
function erfcTail(x) {
  if (x > 28) { return 0; }
  var first = 60 + Math.floor(200 / (x * x)), ratio = x + Math.sqrt(x * x + 2 * first + 2);
  for (var n = first; n > 1; n--) { ratio = 2 * x + 2 * n / ratio; }
  var last = twoSum(2 * x, 2 / ratio), square = twoProduct(x, x), factor = TWO_OVER_SQRT_PI[0] / last[0];
  var error = square[1] + last[1] / last[0] - TWO_OVER_SQRT_PI[1] / TWO_OVER_SQRT_PI[0], root = gaussian(x, 0.5);
  if (x >= 26.5) { return (root * factor) * root; }  // the square of the root is subnormal
  var result = factor * Math.exp(-square[0]);
  return result - result * error;
}
function erf(x) {
  if (x !== x || x === 0) { return x; }
  if (Math.abs(x) < 1e-150) { return TWO_OVER_SQRT_PI[0] * x; }
  if (Math.abs(x) < 0.8) { var parts = erfParts(x); return parts[0] + parts[1]; }
  return x > 0 ? 1 - erfcTail(x) : erfcTail(-x) - 1;
}
function erfc(x) {
  if (x !== x) { return x; }
  if (Math.abs(x) < 1e-150) { return 1; }
  if (Math.abs(x) < 0.8) { var parts = erfParts(x); return (1 - parts[0]) - parts[1]; }
  return x > 0 ? erfcTail(x) : 2 - erfcTail(-x);
}
function normalDensity(x) { return ONE_OVER_SQRT_TWO_PI * gaussian(x, 0.5); }
function normalCdf(x) {
  var t = -x * SQRT_HALF[0];
  if (Math.abs(t) > 30) { return 0.5 * erfc(t); }
  var product = twoProduct(-x, SQRT_HALF[0]), error = product[1] - x * SQRT_HALF[1];
  return 0.5 * (erfc(product[0]) - error * TWO_OVER_SQRT_PI[0] * gaussian(product[0], 1));
}
// factor * density(x) * (c0 + c1 / x**2 + c2 / x**4 + ...)
function densitySeries(x, factor, coefficients) {
  if (x < -40) { return 0; }
  var u = 1 / (x * x), sum = coefficients.reduceRight(function (rest, c) { return rest * u + c; }, 0);
  if (x > -37.5) { return factor * normalDensity(x) * sum; }
  var half = gaussian(x, 0.25);
  return (half * (factor * ONE_OVER_SQRT_TWO_PI * sum)) * half;
}
var TAIL_SERIES = [1, -1, 3, -15, 105, -945, 10395, -135135];
function gelu(x) { return x < -30 ? densitySeries(x, -1, TAIL_SERIES) : x * normalCdf(x); }
function geluSlope(x) {
  if (x < -30) { return densitySeries(x, x, [1, -1, 1, -3, 15, -105, 945, -10395]); }
  var offset = (x - GELU_SLOPE_ROOT[0]) - GELU_SLOPE_ROOT[1];
  if (Math.abs(offset) < 0.8) {
    return GELU_SLOPE_SERIES.reduceRight(function (rest, c) { return rest * offset + c; }, 0);
  }
  return normalCdf(x) + (isFinite(x) ? x * normalDensity(x) : 0);
}
function ndtr(x) { return x < -30 ? densitySeries(x, -1 / x, TAIL_SERIES) : normalCdf(x); }
function mills(k, x) {
  if (!(x > -Infinity && x < -1)) {
    var before = 0, own = x > -Infinity ? ndtr(x) / normalDensity(x) : 0;
    for (var i = 0; i < k && own; i++) {
      var next = x * own + (i ? i * before : 1);
      before = own;
      own = next;
    }
    return own;
  }
  var first = k + 40 + Math.floor(200 / (x * x)), ratio = 0.5 * (Math.sqrt(x * x + 4 * first) + x), product = 1;
  for (var n = first; n > 0; n--) {
    ratio = n / (ratio - x);
    if (n <= k) { product *= ratio; }
  }
  return product / (ratio - x);
}
function logNdtr(x) {
  if (x > -1 || x !== x) { return Math.log1p(-ndtr(-x)); }
  if (x > -20) { return Math.log(ndtr(x)); }
  return x > -1e300 ? Math.log(mills(0, x)) - (0.5 * x * x + 0.9189385332046728) : -Infinity;
}
