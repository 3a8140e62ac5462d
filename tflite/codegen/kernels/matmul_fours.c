// needs: saturated_int16
/* y = (weights x + starts) * fixed / 2^shift, rounded once, halves upwards; saturated. weights: of each four rows and four
   columns those of one row after the other, columns in the order 0 2 1 3; filled up by zeros. Sums stay below 2^30. */
#if defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#include <arm_acle.h>
static inline int32_t two_sums(const int32_t *values, int32_t weights, int32_t sum)
{
    int32_t others;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(others) : "r"(weights));
    return __smlad(values[1], others, __smlad(values[0], __sxtb16(weights), sum));
}
#elif defined(__SSE2__)
#include <emmintrin.h>
static inline __m128i two_rows(__m128i values, __m128i weights, __m128i sums)
{
    return _mm_add_epi32(sums, _mm_madd_epi16(values, _mm_srai_epi16(weights, 8)));
}
#endif

#if defined(__GNUC__)
__attribute__((noinline))
#endif
static void four_sums(const int16_t *x, const int8_t *weights, int columns, int32_t *sums)
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    int16_t last[4];
#if defined(__SSE2__)
    __m128i upper = _mm_setzero_si128(), lower = upper; /* two sums each, in two parts */
#endif
    for (; columns > 0; columns -= 4, x += 4, weights += 16) {
        if (columns < 4) {
            memset(last, 0, sizeof last);
            memcpy(last, x, (size_t)columns * sizeof *x);
            x = last;
        }
#if defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
        int32_t values[2], first, second, third, fourth; /* two and four integers each */
        memcpy(values, x, sizeof values);
        __asm("ldrd %0, %1, [%2]" : "=r"(first), "=r"(second) : "r"(weights) : "memory");
        __asm("ldrd %0, %1, [%2, #8]" : "=r"(third), "=r"(fourth) : "r"(weights) : "memory");
        a = two_sums(values, first, a);
        b = two_sums(values, second, b);
        c = two_sums(values, third, c);
        d = two_sums(values, fourth, d);
#elif defined(__SSE2__)
        const __m128i loaded = _mm_shufflelo_epi16(_mm_loadl_epi64((const __m128i *)(const void *)x), 0xD8);
        const __m128i values = _mm_unpacklo_epi64(loaded, loaded), zero = _mm_setzero_si128();
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)weights);
        upper = two_rows(values, _mm_unpacklo_epi8(zero, bytes), upper);
        lower = two_rows(values, _mm_unpackhi_epi8(zero, bytes), lower);
#else
        a += x[0] * weights[0] + x[2] * weights[1] + x[1] * weights[2] + x[3] * weights[3];
        b += x[0] * weights[4] + x[2] * weights[5] + x[1] * weights[6] + x[3] * weights[7];
        c += x[0] * weights[8] + x[2] * weights[9] + x[1] * weights[10] + x[3] * weights[11];
        d += x[0] * weights[12] + x[2] * weights[13] + x[1] * weights[14] + x[3] * weights[15];
#endif
    }
#if defined(__SSE2__)
    upper = _mm_add_epi32(upper, _mm_srli_epi64(upper, 32));
    lower = _mm_add_epi32(lower, _mm_srli_epi64(lower, 32));
    a += _mm_cvtsi128_si32(upper);
    b += _mm_cvtsi128_si32(_mm_srli_si128(upper, 8));
    c += _mm_cvtsi128_si32(lower);
    d += _mm_cvtsi128_si32(_mm_srli_si128(lower, 8));
#endif
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static void matmul_fours(const int16_t *x, const int8_t *weights, const int32_t *starts, int rows, int columns,
                         int32_t fixed, int shift, int16_t *y)
{
    for (int row = 0; row < rows; row += 4) {
        int32_t sums[4];
        memcpy(sums, starts + row, sizeof sums);
        four_sums(x, weights, columns, sums);
        for (int i = 0; i < 4 && row + i < rows; ++i) {
            const int32_t fine = ((sums[i] & 0x7FFF) * fixed) >> 15;
            const int32_t whole = (sums[i] >> 15) * fixed + fine + (1 << (shift - 16));
            y[row + i] = (int16_t)saturated_int16(whole >> (shift - 15));
        }
        weights += 4 * ((columns + 3) & ~3);
    }
}
