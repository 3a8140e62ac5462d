/* Sums of the rows of a matrix, at most BLOCK of them. `pairs` has two weights in each integer: w of a row + 256 * w of
   the next, so that the low bytes give the sum of the one, both bytes that of the one + 256 * that of the other. Of four
   rows and two columns come the upper two rows, then the lower two: 00+10 01+11 20+30 21+31. `starts`: in the same way,
   what each sum begins with: a row's, a row's + 256 * the next one's. Rows and columns that fill up are 0. */
#define BLOCK 16

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#include <arm_mve.h>
#elif defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#include <arm_acle.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__GNUC__)
__attribute__((noinline)) /* one copy, with the registers to itself */
#endif
static void row_sums(const int16_t *x, const int16_t *pairs, const int32_t *starts, int rows, int columns, int32_t *sums)
{
    for (; rows > 0; rows -= 4, sums += 4, starts += 4) {
        int32_t even_upper = starts[0], upper = starts[1], even_lower = starts[2], lower = starts[3];
        int left = columns;
        const int16_t *values = x;
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
        for (; left >= 8; left -= 8, values += 8, pairs += 16) {
            const int16x8_t a = vldrhq_s16(values);
            const int32x4x2_t both = vld2q_s32((const int32_t *)(const void *)pairs);
            const int16x8_t b = vreinterpretq_s16_s32(both.val[0]), c = vreinterpretq_s16_s32(both.val[1]);
            upper = vmladavaq_s16(upper, a, b);
            lower = vmladavaq_s16(lower, a, c);
            even_upper = vmladavaq_s16(even_upper, a, vmovlbq_s8(vreinterpretq_s8_s16(b)));
            even_lower = vmladavaq_s16(even_lower, a, vmovlbq_s8(vreinterpretq_s8_s16(c)));
        }
#elif defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
        for (; left >= 4; left -= 4) {
            int32_t a, b, c, d, e, f; /* two integers each */
            __asm("ldrd %0, %1, [%2], #8" : "=r"(a), "=r"(d), "+r"(values) : : "memory");
            __asm("ldrd %0, %1, [%2], #8" : "=r"(b), "=r"(c), "+r"(pairs) : : "memory");
            __asm("ldrd %0, %1, [%2], #8" : "=r"(e), "=r"(f), "+r"(pairs) : : "memory");
            upper = __smlad(d, e, __smlad(a, b, upper));
            lower = __smlad(d, f, __smlad(a, c, lower));
            even_upper = __smlad(d, __sxtb16(e), __smlad(a, __sxtb16(b), even_upper));
            even_lower = __smlad(d, __sxtb16(f), __smlad(a, __sxtb16(c), even_lower));
        }
#elif defined(__SSE2__)
        __m128i both = _mm_setzero_si128(), even = both; /* upper, lower, and these of other columns */
        for (; left >= 4; left -= 4, values += 4, pairs += 8) {
            const __m128i a = _mm_shuffle_epi32(_mm_loadl_epi64((const __m128i *)(const void *)values), 0x50);
            const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)pairs);
            both = _mm_add_epi32(both, _mm_madd_epi16(a, b));
            even = _mm_add_epi32(even, _mm_madd_epi16(a, _mm_srai_epi16(_mm_slli_epi16(b, 8), 8)));
        }
        both = _mm_add_epi32(both, _mm_srli_si128(both, 8));
        even = _mm_add_epi32(even, _mm_srli_si128(even, 8));
        upper += _mm_cvtsi128_si32(both);
        lower += _mm_cvtsi128_si32(_mm_srli_si128(both, 4));
        even_upper += _mm_cvtsi128_si32(even);
        even_lower += _mm_cvtsi128_si32(_mm_srli_si128(even, 4));
#endif
        for (; left > 0; left -= 2, values += 2, pairs += 4) {
            const int32_t a = values[0], b = values[1];
            upper += a * pairs[0] + b * pairs[1];
            lower += a * pairs[2] + b * pairs[3];
            even_upper += a * (int8_t)pairs[0] + b * (int8_t)pairs[1];
            even_lower += a * (int8_t)pairs[2] + b * (int8_t)pairs[3];
        }
        sums[0] = even_upper;
        sums[1] = (upper - even_upper) >> 8;
        sums[2] = even_lower;
        sums[3] = (lower - even_lower) >> 8;
    }
}
