/* The loss of a 2-16-16-1 tanh network and its gradient, written by hand for this network only: approximately what the
 * processor can do. Each vector holds one number of several samples. A block has 64 samples, and everything it needs
 * fits into the nearest cache. Each matrix product keeps its sums in registers. */

#if defined(__AVX512F__)
enum { LANES = 8 };
#elif defined(__AVX__)
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif
enum { BLOCK = 64, VECTORS = BLOCK / LANES, WIDTH = 16 };

/* A vector of samples, as wide as the registers: compilers generate poor code for wider ones. */
typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef long long lanes_integers __attribute__((vector_size(8 * LANES)));

/* Parameters, or their gradient. Each row belongs to a neuron: its weights, then its bias. */
struct network {
    double first[WIDTH][3], second[WIDTH][WIDTH + 1], last[WIDTH + 1];
};

/* The same numbers, with a sum for each lane. */
struct sums {
    lanes first[WIDTH][3], second[WIDTH][WIDTH + 1], last[WIDTH + 1], loss;
};

static inline lanes all(double x)
{
#if defined(__AVX512F__)
    return (lanes){x, x, x, x, x, x, x, x};
#elif defined(__AVX__)
    return (lanes){x, x, x, x};
#else
    return (lanes){x, x};
#endif
}

static inline lanes where(lanes_integers mask, lanes a, lanes b)
{
    return (lanes)((mask & (lanes_integers)a) | (~mask & (lanes_integers)b));
}

static inline double total(lanes x)
{
    double sum = 0.0;
    for (int i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

/* exp 2x, with 2x = k log 2 + r. exp r is a Taylor polynomial of degree 13, evaluated in independent parts. Beyond 20,
 * tanh is 1 to the last digit. */
static inline lanes exp_of_twice(lanes x)
{
    x = where(x > all(20.0), all(20.0), where(x < all(-20.0), all(-20.0), x));
    /* The last bits of the sum with 1.5 * 2**52 hold the nearest integer. */
    const lanes shift = all(6755399441055744.0);
    lanes shifted = x * all(2.0 * 1.4426950408889634) + shift;
    lanes_integers bits = (lanes_integers)shifted;
    lanes k = shifted - shift;
    lanes r = x + x - k * all(6.93147180369123816490e-01);
    r -= k * all(1.90821492927058770002e-10);
    lanes r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    lanes a = (all(1.0) + r) + (all(1.0 / 2) + all(1.0 / 6) * r) * r2;
    lanes b = (all(1.0 / 24) + all(1.0 / 120) * r) + (all(1.0 / 720) + all(1.0 / 5040) * r) * r2;
    lanes c = (all(1.0 / 40320) + all(1.0 / 362880) * r) + (all(1.0 / 3628800) + all(1.0 / 39916800) * r) * r2;
    lanes d = all(1.0 / 479001600) + all(1.0 / 6227020800) * r;
    lanes p = (a + b * r4) + (c + d * r4) * r8;
    return (lanes)((lanes_integers)p + (bits << 52)); /* times 2**k */
}

/* tanh x = 1 - 2 / (exp 2x + 1), for two numbers at once: a division takes as long as sixteen multiplications, and two
 * numbers can share one. The error is about 3e-16. */
static inline void tanh_of_two(lanes *x, lanes *y)
{
    lanes a = exp_of_twice(*x) + all(1.0), b = exp_of_twice(*y) + all(1.0);
    lanes share = all(2.0) / (a * b);
    *x = all(1.0) - share * b;
    *y = all(1.0) - share * a;
}

/* out[o] = bias[o] + sum of weights[j][o] * in[j], for one vector of samples. */
static inline void times(const double weights[WIDTH][WIDTH], const double *bias, lanes in[WIDTH][VECTORS], int v,
                         lanes out[WIDTH])
{
    for (int o = 0; o < WIDTH; o++)
        out[o] = bias ? all(bias[o]) : all(0.0);
#pragma GCC unroll 1
    for (int j = 0; j < WIDTH; j++) {
        lanes x = in[j][v];
#pragma GCC unroll 16
        for (int o = 0; o < WIDTH; o++)
            out[o] += all(weights[j][o]) * x;
    }
}

/* sums[o][j] += the products of slopes[o] and in[j] over a block, in tiles of four by four. */
static inline void outer(lanes slopes[WIDTH][VECTORS], lanes in[WIDTH][VECTORS], int vectors,
                         lanes sums[WIDTH][WIDTH + 1])
{
    for (int o = 0; o < WIDTH; o += 4)
        for (int j = 0; j < WIDTH; j += 4) {
            lanes kept[4][4];
#pragma GCC unroll 4
            for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
                for (int q = 0; q < 4; q++)
                    kept[p][q] = sums[o + p][j + q];
#pragma GCC unroll 1
            for (int v = 0; v < vectors; v++)
#pragma GCC unroll 4
                for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
                    for (int q = 0; q < 4; q++)
                        kept[p][q] += slopes[o + p][v] * in[j + q][v];
#pragma GCC unroll 4
            for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
                for (int q = 0; q < 4; q++)
                    sums[o + p][j + q] = kept[p][q];
        }
}

static void block(const struct network *net, const double by_input[WIDTH][WIDTH], const double by_output[WIDTH][WIDTH],
                  const double *inputs, const double *targets, long samples, double weight, struct sums *sums)
{
    union {
        lanes v[VECTORS];
        double x[BLOCK];
    } left, right, target, counts;
    lanes hidden[WIDTH][VECTORS], deeper[WIDTH][VECTORS], slopes[WIDTH][VECTORS];
    double bias[WIDTH];
    int vectors = (int)((samples + LANES - 1) / LANES);

    for (int i = 0; i < vectors * LANES; i++) {
        int there = i < samples;
        left.x[i] = there ? inputs[2 * i] : 0.0;
        right.x[i] = there ? inputs[2 * i + 1] : 0.0;
        target.x[i] = there ? targets[i] : 0.0;
        counts.x[i] = there ? 1.0 : 0.0;
    }
    for (int o = 0; o < WIDTH; o++)
        bias[o] = net->second[o][WIDTH];
    for (int o = 0; o < WIDTH; o += 2) {
        const double(*w)[3] = net->first + o;
        for (int v = 0; v < vectors; v++) {
            hidden[o][v] = all(w[0][0]) * left.v[v] + all(w[0][1]) * right.v[v] + all(w[0][2]);
            hidden[o + 1][v] = all(w[1][0]) * left.v[v] + all(w[1][1]) * right.v[v] + all(w[1][2]);
            tanh_of_two(&hidden[o][v], &hidden[o + 1][v]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        lanes z[WIDTH], y = all(net->last[WIDTH]);
        times(by_input, bias, hidden, v, z);
        for (int o = 0; o < WIDTH; o += 2)
            tanh_of_two(&z[o], &z[o + 1]);
        for (int o = 0; o < WIDTH; o++) {
            deeper[o][v] = z[o];
            y += all(net->last[o]) * z[o];
        }
        lanes error = (y - target.v[v]) * counts.v[v];
        lanes slope = all(2.0 * weight) * error;
        sums->loss += error * error;
        sums->last[WIDTH] += slope;
        for (int o = 0; o < WIDTH; o++) {
            lanes t = deeper[o][v];
            sums->last[o] += slope * t;
            slopes[o][v] = all(net->last[o]) * slope * (all(1.0) - t * t);
            sums->second[o][WIDTH] += slopes[o][v];
        }
    }
    outer(slopes, hidden, vectors, sums->second);
    for (int v = 0; v < vectors; v++) {
        lanes back[WIDTH];
        times(by_output, 0, slopes, v, back);
        for (int o = 0; o < WIDTH; o++) {
            lanes t = hidden[o][v];
            hidden[o][v] = back[o] * (all(1.0) - t * t);
        }
    }
    for (int o = 0; o < WIDTH; o++) {
        lanes a = sums->first[o][0], b = sums->first[o][1], c = sums->first[o][2];
        for (int v = 0; v < vectors; v++) {
            a += hidden[o][v] * left.v[v];
            b += hidden[o][v] * right.v[v];
            c += hidden[o][v];
        }
        sums->first[o][0] = a, sums->first[o][1] = b, sums->first[o][2] = c;
    }
}

/* Return the mean squared error, and write its gradient to `gradient`. */
static __attribute__((noinline)) double step(const struct network *net, const double *inputs, const double *targets,
                                             long samples, struct network *gradient)
{
    double by_input[WIDTH][WIDTH], by_output[WIDTH][WIDTH];
    struct sums sums = {0};

    for (int o = 0; o < WIDTH; o++)
        for (int j = 0; j < WIDTH; j++)
            by_input[j][o] = by_output[o][j] = net->second[o][j];
    for (long start = 0; start < samples; start += BLOCK)
        block(net, by_input, by_output, inputs + 2 * start, targets + start,
              samples - start < BLOCK ? samples - start : BLOCK, 1.0 / (double)samples, &sums);
    const lanes *from = &sums.first[0][0];
    double *to = (double *)gradient;
    for (unsigned long i = 0; i < sizeof(struct network) / sizeof(double); i++)
        to[i] = total(from[i]);
    return total(sums.loss) / (double)samples;
}

/* Repeat the step, so that the call from Python takes a negligible share of the time. */
double steps(long times, const double *net, const double *inputs, const double *targets, long samples, double *gradient)
{
    double loss = 0.0;
    for (long i = 0; i < times; i++)
        loss = step((const struct network *)net, inputs, targets, samples, (struct network *)gradient);
    return loss;
}
