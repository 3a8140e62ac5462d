/* Sums of the rows of a matrix, at most BLOCK of them. `pairs` has two weights in each integer: w of a row + 256 * w of
   the next, so that the low bytes give the sum of the one, both bytes that of the one + 256 * that of the other. Of four
   rows and two columns come the upper two rows, then the lower two: 00+10 01+11 20+30 21+31. `starts`: in the same way,
   what each sum begins with: a row's, a row's + 256 * the next one's. Rows and columns that fill up are 0. */
#define BLOCK 16

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#include <arm_mve.h>
#elif defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#include <arm_acle.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && defined(__GNUC__)
#include <arm_neon.h>
#elif defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__SSE2__)
static inline __m128i low_bytes(__m128i pairs)
{
    return _mm_srai_epi16(_mm_slli_epi16(pairs, 8), 8);
}

/* upper, lower and the same of other columns, for four rows each -> upper, lower, upper, lower. */
static inline __m128i of_all_columns(__m128i one, __m128i other)
{
    return _mm_add_epi32(_mm_unpacklo_epi64(one, other), _mm_unpackhi_epi64(one, other));
}

static inline __m128i four(const void *place)
{
    return _mm_loadu_si128((const __m128i *)place);
}

/* Eight rows at a time: two groups of four, a and b; the last four are both. */
static void row_sums(const int16_t *x, const int16_t *pairs, const int32_t *starts, int rows, int columns, int32_t *sums)
{
    for (; rows > 0; rows -= 8, pairs += 4 * columns, starts += 8, sums += 8) {
        const int32_t *const starts_b = rows > 4 ? starts + 4 : starts;
        const int16_t *const pairs_b = rows > 4 ? pairs + 2 * columns : pairs;
        __m128i a = _mm_setzero_si128(), b = a, even_a = a, even_b = a;
        int column = 0;
#if defined(__AVX2__)
        const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
        __m256i wide_a = _mm256_setzero_si256(), wide_b = wide_a, wide_even_a = wide_a, wide_even_b = wide_a;
        for (; column + 8 <= columns; column += 8) {
            const __m256i values = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(four(x + column)), twice);
            const __m256i own_a = _mm256_loadu_si256((const __m256i *)(const void *)(pairs + 2 * column));
            const __m256i own_b = _mm256_loadu_si256((const __m256i *)(const void *)(pairs_b + 2 * column));
            const __m256i low_a = _mm256_srai_epi16(_mm256_slli_epi16(own_a, 8), 8);
            const __m256i low_b = _mm256_srai_epi16(_mm256_slli_epi16(own_b, 8), 8);
            wide_a = _mm256_add_epi32(wide_a, _mm256_madd_epi16(values, own_a));
            wide_b = _mm256_add_epi32(wide_b, _mm256_madd_epi16(values, own_b));
            wide_even_a = _mm256_add_epi32(wide_even_a, _mm256_madd_epi16(values, low_a));
            wide_even_b = _mm256_add_epi32(wide_even_b, _mm256_madd_epi16(values, low_b));
        }
        a = _mm_add_epi32(_mm256_castsi256_si128(wide_a), _mm256_extracti128_si256(wide_a, 1));
        b = _mm_add_epi32(_mm256_castsi256_si128(wide_b), _mm256_extracti128_si256(wide_b, 1));
        even_a = _mm_add_epi32(_mm256_castsi256_si128(wide_even_a), _mm256_extracti128_si256(wide_even_a, 1));
        even_b = _mm_add_epi32(_mm256_castsi256_si128(wide_even_b), _mm256_extracti128_si256(wide_even_b, 1));
#endif
        for (; column + 4 <= columns; column += 4) {
            const __m128i values = _mm_shuffle_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(x + column)), 0x50);
            const __m128i own_a = four(pairs + 2 * column), own_b = four(pairs_b + 2 * column);
            a = _mm_add_epi32(a, _mm_madd_epi16(values, own_a));
            b = _mm_add_epi32(b, _mm_madd_epi16(values, own_b));
            even_a = _mm_add_epi32(even_a, _mm_madd_epi16(values, low_bytes(own_a)));
            even_b = _mm_add_epi32(even_b, _mm_madd_epi16(values, low_bytes(own_b)));
        }
        if (column < columns) {
            int32_t two;
            memcpy(&two, x + column, sizeof two);
            const __m128i values = _mm_set1_epi32(two);
            const __m128i own_a = _mm_loadl_epi64((const __m128i *)(const void *)(pairs + 2 * column));
            const __m128i own_b = _mm_loadl_epi64((const __m128i *)(const void *)(pairs_b + 2 * column));
            a = _mm_add_epi32(a, _mm_madd_epi16(values, own_a));
            b = _mm_add_epi32(b, _mm_madd_epi16(values, own_b));
            even_a = _mm_add_epi32(even_a, _mm_madd_epi16(values, low_bytes(own_a)));
            even_b = _mm_add_epi32(even_b, _mm_madd_epi16(values, low_bytes(own_b)));
        }
        const __m128 start_a = _mm_castsi128_ps(four(starts)), start_b = _mm_castsi128_ps(four(starts_b));
        const __m128i even_start = _mm_castps_si128(_mm_shuffle_ps(start_a, start_b, 0x88));
        const __m128i start = _mm_castps_si128(_mm_shuffle_ps(start_a, start_b, 0xDD));
        const __m128i even = _mm_add_epi32(of_all_columns(even_a, even_b), even_start);
        const __m128i odd = _mm_srai_epi32(_mm_sub_epi32(_mm_add_epi32(of_all_columns(a, b), start), even), 8);
        _mm_storeu_si128((__m128i *)(void *)sums, _mm_unpacklo_epi32(even, odd));
        _mm_storeu_si128((__m128i *)(void *)(sums + 4), _mm_unpackhi_epi32(even, odd));
    }
}
#else
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
__attribute__((noinline)) /* seldom run, and not to take registers from what is */
static void last_columns(const int16_t *x, const int16_t *pairs, int columns, int32_t *sums)
{
    for (; columns > 0; columns -= 2, x += 2, pairs += 4) {
        sums[0] += x[0] * (int8_t)pairs[0] + x[1] * (int8_t)pairs[1];
        sums[1] += x[0] * pairs[0] + x[1] * pairs[1];
        sums[2] += x[0] * (int8_t)pairs[2] + x[1] * (int8_t)pairs[3];
        sums[3] += x[0] * pairs[2] + x[1] * pairs[3];
    }
}
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
        sums[0] = even_upper;
        sums[1] = upper;
        sums[2] = even_lower;
        sums[3] = lower;
        if (left > 0) {
            last_columns(values, pairs, left, sums);
            pairs += 2 * left;
        }
        sums[1] = (sums[1] - sums[0]) >> 8;
        sums[3] = (sums[3] - sums[2]) >> 8;
#else
#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__GNUC__)
        int32x4_t both = vdupq_n_s32(0), even = both; /* upper, lower, each of even and of odd columns */
        for (; left >= 4; left -= 4, values += 4, pairs += 8) {
            const int32x2_t four = vreinterpret_s32_s16(vld1_s16(values));
            const int16x8_t a = vreinterpretq_s16_s32(vcombine_s32(vdup_lane_s32(four, 0), vdup_lane_s32(four, 1)));
            const int16x8_t b = vld1q_s16(pairs), low = vshrq_n_s16(vshlq_n_s16(b, 8), 8);
            both = vmlal_high_s16(vmlal_s16(both, vget_low_s16(a), vget_low_s16(b)), a, b);
            even = vmlal_high_s16(vmlal_s16(even, vget_low_s16(a), vget_low_s16(low)), a, low);
        }
        const int32x4_t whole = vpaddq_s32(both, even);
        upper += vgetq_lane_s32(whole, 0);
        lower += vgetq_lane_s32(whole, 1);
        even_upper += vgetq_lane_s32(whole, 2);
        even_lower += vgetq_lane_s32(whole, 3);
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
#endif
    }
}
#endif
