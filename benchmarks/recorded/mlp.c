/* The loss of a 2-16-16-1 network of tanh, and its gradient, written by hand for this network and no other: about what
 * the processor can do. Samples stand side by side in vectors of eight, of which a block has eight: all that a block
 * needs is in the nearest cache. Each product of matrices keeps its sums in registers. */

typedef double eight __attribute__((vector_size(64)));
typedef long long eight_integers __attribute__((vector_size(64)));

enum { LANES = 8, VECTORS = 8, BLOCK = LANES * VECTORS, WIDTH = 16 };

/* Parameters, or the gradient by them: a row a neuron, its weights and then its bias. */
struct network {
    double first[WIDTH][3], second[WIDTH][WIDTH + 1], last[WIDTH + 1];
};

/* The same, a sum for each lane. */
struct sums {
    eight first[WIDTH][3], second[WIDTH][WIDTH + 1], last[WIDTH + 1], loss;
};

static inline eight all(double x) { return (eight){x, x, x, x, x, x, x, x}; }

static inline eight where(eight_integers mask, eight a, eight b)
{
    return (eight)((mask & (eight_integers)a) | (~mask & (eight_integers)b));
}

static inline double total(eight x)
{
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

/* exp 2x, with 2x = k log 2 + r and exp r as its Taylor polynomial of degree 13, in parts that do not wait for each
 * other. Beyond 20 the tanh is 1 to the last digit. */
static inline eight exp_of_twice(eight x)
{
    x = where(x > all(20.0), all(20.0), where(x < all(-20.0), all(-20.0), x));
    /* The sum with 1.5 * 2**52 has the nearest integer in its last bits. */
    const eight shift = all(6755399441055744.0);
    eight shifted = x * all(2.0 * 1.4426950408889634) + shift;
    eight_integers bits = (eight_integers)shifted;
    eight k = shifted - shift;
    eight r = x + x - k * all(6.93147180369123816490e-01);
    r -= k * all(1.90821492927058770002e-10);
    eight r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    eight a = (all(1.0) + r) + (all(1.0 / 2) + all(1.0 / 6) * r) * r2;
    eight b = (all(1.0 / 24) + all(1.0 / 120) * r) + (all(1.0 / 720) + all(1.0 / 5040) * r) * r2;
    eight c = (all(1.0 / 40320) + all(1.0 / 362880) * r) + (all(1.0 / 3628800) + all(1.0 / 39916800) * r) * r2;
    eight d = all(1.0 / 479001600) + all(1.0 / 6227020800) * r;
    eight p = (a + b * r4) + (c + d * r4) * r8;
    return (eight)((eight_integers)p + (bits << 52)); /* times 2**k */
}

/* tanh x = 1 - 2 / (exp 2x + 1), of two at once: a division takes as long as sixteen multiplications, and one will do.
 * The error is some 3e-16. */
static inline void tanh_of_two(eight *x, eight *y)
{
    eight a = exp_of_twice(*x) + all(1.0), b = exp_of_twice(*y) + all(1.0);
    eight share = all(2.0) / (a * b);
    *x = all(1.0) - share * b;
    *y = all(1.0) - share * a;
}

/* out[o] = bias[o] + sum of weights[j][o] * in[j], for one vector of samples. */
static inline void times(const double weights[WIDTH][WIDTH], const double *bias, eight in[WIDTH][VECTORS], int v,
                         eight out[WIDTH])
{
    for (int o = 0; o < WIDTH; o++)
        out[o] = bias ? all(bias[o]) : all(0.0);
#pragma GCC unroll 1
    for (int j = 0; j < WIDTH; j++) {
        eight x = in[j][v];
#pragma GCC unroll 16
        for (int o = 0; o < WIDTH; o++)
            out[o] += all(weights[j][o]) * x;
    }
}

/* sums[o][j] += the products of slopes[o] with in[j] over a block; four by four at a time. */
static inline void outer(eight slopes[WIDTH][VECTORS], eight in[WIDTH][VECTORS], int vectors,
                         eight sums[WIDTH][WIDTH + 1])
{
    for (int o = 0; o < WIDTH; o += 4)
        for (int j = 0; j < WIDTH; j += 4) {
            eight kept[4][4];
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
        eight v[VECTORS];
        double x[BLOCK];
    } left, right, target, counts;
    eight hidden[WIDTH][VECTORS], deeper[WIDTH][VECTORS], slopes[WIDTH][VECTORS];
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
        eight z[WIDTH], y = all(net->last[WIDTH]);
        times(by_input, bias, hidden, v, z);
        for (int o = 0; o < WIDTH; o += 2)
            tanh_of_two(&z[o], &z[o + 1]);
        for (int o = 0; o < WIDTH; o++) {
            deeper[o][v] = z[o];
            y += all(net->last[o]) * z[o];
        }
        eight error = (y - target.v[v]) * counts.v[v];
        eight slope = all(2.0 * weight) * error;
        sums->loss += error * error;
        sums->last[WIDTH] += slope;
        for (int o = 0; o < WIDTH; o++) {
            eight t = deeper[o][v];
            sums->last[o] += slope * t;
            slopes[o][v] = all(net->last[o]) * slope * (all(1.0) - t * t);
            sums->second[o][WIDTH] += slopes[o][v];
        }
    }
    outer(slopes, hidden, vectors, sums->second);
    for (int v = 0; v < vectors; v++) {
        eight back[WIDTH];
        times(by_output, 0, slopes, v, back);
        for (int o = 0; o < WIDTH; o++) {
            eight t = hidden[o][v];
            hidden[o][v] = back[o] * (all(1.0) - t * t);
        }
    }
    for (int o = 0; o < WIDTH; o++) {
        eight a = sums->first[o][0], b = sums->first[o][1], c = sums->first[o][2];
        for (int v = 0; v < vectors; v++) {
            a += hidden[o][v] * left.v[v];
            b += hidden[o][v] * right.v[v];
            c += hidden[o][v];
        }
        sums->first[o][0] = a, sums->first[o][1] = b, sums->first[o][2] = c;
    }
}

/* The mean squared error; its gradient is written to `gradient`. */
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
    const eight *from = &sums.first[0][0];
    double *to = (double *)gradient;
    for (unsigned long i = 0; i < sizeof(struct network) / sizeof(double); i++)
        to[i] = total(from[i]);
    return total(sums.loss) / (double)samples;
}

/* Do the step so many times, that the call from Python does not count. */
double steps(long times, const double *net, const double *inputs, const double *targets, long samples, double *gradient)
{
    double loss = 0.0;
    for (long i = 0; i < times; i++)
        loss = step((const struct network *)net, inputs, targets, samples, (struct network *)gradient);
    return loss;
}
