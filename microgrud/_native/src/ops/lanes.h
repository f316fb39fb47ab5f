/* Look-ups of elementary_body.h for any instruction set but AVX-512: lanes_avx512.h has its own. */

/* Find the numbers of quarters in a table. */
TARGET LANE void look_up(const double table[32], const double shifted[8], double found[8])
{
    for (size_t k = 0; k < 8; k++) {
        found[k] = table[bits_of(shifted[k]) % 32];
    }
}

#define tanh_of_sixteens(x, z, slope, n, any) 0
