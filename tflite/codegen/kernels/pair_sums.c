/* Two rows of a matrix at once. `pairs`: w of the one row + 256 * w of the other, column by column; then the low bytes
   give the sum of the one, both bytes that of the one + 256 * that of the other. Exact while sums stay below 2^23.
   `columns` is even. ROWS: how many are summed at a time. */
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#include <arm_mve.h>
#define ROWS 4
static inline void pair_sums(const int16_t *x, const int16_t *pairs, const int16_t *next, int columns, int32_t *sums)
{
    int32_t all[2] = {0, 0}, even[2] = {0, 0};
    for (; columns > 0; columns -= 8, x += 8, pairs += 8, next += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)columns);
        const int16x8_t values = vldrhq_z_s16(x, there);
        const int16x8_t first = vldrhq_z_s16(pairs, there), second = vldrhq_z_s16(next, there);
        all[0] = vmladavaq_s16(all[0], values, first);
        all[1] = vmladavaq_s16(all[1], values, second);
        even[0] = vmladavaq_s16(even[0], values, vmovlbq_s8(vreinterpretq_s8_s16(first)));
        even[1] = vmladavaq_s16(even[1], values, vmovlbq_s8(vreinterpretq_s8_s16(second)));
    }
    for (int i = 0; i < 2; ++i) {
        sums[2 * i] = even[i];
        sums[2 * i + 1] = (int32_t)((uint32_t)all[i] - (uint32_t)even[i]) >> 8;
    }
}
#elif defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#include <arm_acle.h>
#define ROWS 4
static inline int32_t two_of(const int16_t *values)
{
    int32_t word;
    memcpy(&word, values, sizeof word);
    return word;
}

static inline void pair_sums(const int16_t *x, const int16_t *pairs, const int16_t *next, int columns, int32_t *sums)
{
    int32_t all[2] = {0, 0}, even[2] = {0, 0};
    for (; columns > 0; columns -= 2, x += 2, pairs += 2, next += 2) {
        const int32_t values = two_of(x), first = two_of(pairs), second = two_of(next);
        all[0] = __smlad(values, first, all[0]);
        all[1] = __smlad(values, second, all[1]);
        even[0] = __smlad(values, __sxtb16(first), even[0]);
        even[1] = __smlad(values, __sxtb16(second), even[1]);
    }
    for (int i = 0; i < 2; ++i) {
        sums[2 * i] = even[i];
        sums[2 * i + 1] = (int32_t)((uint32_t)all[i] - (uint32_t)even[i]) >> 8;
    }
}
#else
#define ROWS 2
static inline void pair_sums(const int16_t *x, const int16_t *pairs, const int16_t *next, int columns, int32_t *sums)
{
    int32_t all = 0, even = 0;
    (void)next;
    for (int column = 0; column < columns; ++column) {
        const int32_t pair = pairs[column], low = (int8_t)pair;
        all += x[column] * pair;
        even += x[column] * low;
    }
    sums[0] = even;
    sums[1] = (all - even) >> 8;
}
#endif
