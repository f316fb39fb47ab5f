/* Tables for tanh and sigmoid: numbers of the quarters q = k / 4 with k = 0, ..., 31, rounded from 60 digits. Vectors
 * keep a table in registers, or gather from the nearest cache.
 */
#ifndef MICROGRUD_ELEMENTARY_TABLES_H
#define MICROGRUD_ELEMENTARY_TABLES_H

/* A constant that leaves the number k of a quarter in the last bits of its sum with q. */
#define TO_QUARTER 0x1.8p50

static const _Alignas(64) double TANH[32] = {
    0.0, 0x1.f597ea69a1c86p-3, 0x1.d9353d7568af3p-2, 0x1.45323e552f228p-1, 0x1.85efab514f394p-1, 0x1.b2523bb6b2deep-1,
    0x1.cf6f9786df577p-1, 0x1.e1fbf97e33527p-1, 0x1.ed9505e1bc3d4p-1, 0x1.f4bfd6c2dfd1ep-1, 0x1.f9258260a71c2p-1,
    0x1.fbd509ae7ae3ep-1, 0x1.fd77d111a0b00p-1, 0x1.fe76795d353a0p-1, 0x1.ff112c63a9077p-1, 0x1.ff6f17a754772p-1,
    0x1.ffa81708a0b42p-1, 0x1.ffcaac3f20e66p-1, 0x1.ffdfa72153983p-1, 0x1.ffec61279a3a4p-1, 0x1.fff419668df11p-1,
    0x1.fff8c81c6dc34p-1, 0x1.fffb9f2fc1e91p-1, 0x1.fffd583014825p-1, 0x1.fffe63abe253cp-1, 0x1.ffff05e8d3192p-1,
    0x1.ffff684fec9b9p-1, 0x1.ffffa3ff22708p-1, 0x1.ffffc832750f2p-1, 0x1.ffffde2760a41p-1, 0x1.ffffeb78a3c73p-1,
    0x1.fffff38c76668p-1,
};
/* 1 - tanh(q)**2 */
static const _Alignas(64) double SECH_SQUARED[32] = {
    1.0, 0x1.e149a052c16c2p-1, 0x1.92a946fa34394p-1, 0x1.3173b1efa6ef5p-1, 0x1.ae0dc0f990c45p-2, 0x1.1f25131e3a8c0p-2,
    0x1.72165282c6f72p-3, 0x1.d22ca1c24a139p-4, 0x1.2162c262e051bp-4, 0x1.64108aa4d5fe3p-5, 0x1.b3afe1fba5c7bp-6,
    0x1.09a7a5dc88713p-6, 0x1.434a517bbc5f4p-7, 0x1.88ef67211da0bp-8, 0x1.dd37d19b22b21p-9, 0x1.21a7ae3bc0d76p-9,
    0x1.5f85ad510b691p-10, 0x1.aa87cf66470c5p-11, 0x1.02bec8b634601p-11, 0x1.39e782819fc19p-12, 0x1.7ccec13a9e846p-13,
    0x1.cdf5a2e4d7481p-14, 0x1.1832dcd3cdae3p-14, 0x1.53e71416c3dc0p-15, 0x1.9c5377a48b5aep-16, 0x1.f42ddfa52ac73p-17,
    0x1.2f5ff9d84b362p-17, 0x1.7003552d52e5ap-18, 0x1.be6c3f3325207p-19, 0x1.0ec4f1ec2796dp-19, 0x1.4875bcf70ec79p-20,
    0x1.8e712e56e0a4ep-21,
};
static const _Alignas(64) double ONE_MINUS_TANH[32] = {
    1.0, 0x1.829a0565978dfp-1, 0x1.136561454ba86p-1, 0x1.759b8355a1bb0p-2, 0x1.e84152bac31afp-3, 0x1.36b7112534847p-3,
    0x1.848343c905445p-4, 0x1.e040681ccad94p-5, 0x1.26afa1e43c2c3p-5, 0x1.680527a405c3bp-6, 0x1.b69f67d638f8ep-7,
    0x1.0abd946147067p-7, 0x1.4417772fa800fp-8, 0x1.8986a2cac5fa9p-9, 0x1.dda738adf1189p-10, 0x1.21d0b15711bf3p-10,
    0x1.5fa3dd7d2f7a6p-11, 0x1.aa9e06f8cd118p-12, 0x1.02c6f5633e446p-12, 0x1.39ed865c5b812p-13, 0x1.7cd32e41dd960p-14,
    0x1.cdf8e48f306f6p-15, 0x1.18340f85ba390p-15, 0x1.53e7f5bed75e7p-16, 0x1.9c541dac42246p-17, 0x1.f42e59cdcdad4p-18,
    0x1.2f6026c8e333cp-18, 0x1.7003763df2258p-19, 0x1.be6c578712971p-20, 0x1.0ec4fadf485cdp-20, 0x1.4875c38cc6b4ap-21,
    0x1.8e71332f28ff5p-22,
};

/* tanh(r) = r (P0 + P1 z + P2 z**2) / (P0 + N1 z + N2 z**2) with z = r**2, for |r| up to 9/64: an error of 2**-59. They
 * agree at Chebyshev nodes. Both polynomials are near 127/64, because a number just below 2 is rounded with half the
 * relative error of one above 1. */
#define TANH_P0 0x1.fcp+0
#define TANH_P1 0x1.c386cc8c40539p-3
#define TANH_P2 0x1.131c35b8ce244p-9
#define TANH_N1 0x1.c38c5dcdbabefp-1
#define TANH_N2 0x1.01fc402d687dep-5

#endif
