/* Sums of the rows of a matrix, at most BLOCK of them, two at once. `pairs`: w of the one row + 256 * w of the other,
   column by column; then the low bytes give the sum of the one, both bytes that of the one + 256 * that of the other.
   `columns` is even. */
#define BLOCK 16

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#include <arm_mve.h>
static void pair_sums(const int16_t *x, const int16_t *pairs, int rows, int columns, int32_t *sums)
{
    for (; rows > 0; rows -= 4, sums += 4) {
        const int16_t *next = rows > 2 ? pairs + columns : pairs, *values = x;
        int32_t all = 0, even = 0, next_all = 0, next_even = 0;
        for (int left = columns; left > 0; left -= 8, values += 8, pairs += 8, next += 8) {
            const mve_pred16_t there = vctp16q((uint32_t)left);
            const int16x8_t a = vldrhq_z_s16(values, there);
            const int16x8_t b = vldrhq_z_s16(pairs, there), c = vldrhq_z_s16(next, there);
            all = vmladavaq_s16(all, a, b);
            next_all = vmladavaq_s16(next_all, a, c);
            even = vmladavaq_s16(even, a, vmovlbq_s8(vreinterpretq_s8_s16(b)));
            next_even = vmladavaq_s16(next_even, a, vmovlbq_s8(vreinterpretq_s8_s16(c)));
        }
        sums[0] = even;
        sums[1] = (all - even) >> 8;
        sums[2] = next_even;
        sums[3] = (next_all - next_even) >> 8;
        pairs = next - (columns + 7) / 8 * 8 + columns;
    }
}
#elif defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#include <arm_acle.h>
typedef int32_t __attribute__((may_alias)) two_t;
static void pair_sums(const int16_t *x, const int16_t *pairs, int rows, int columns, int32_t *sums)
{
    const two_t *row = (const two_t *)pairs;
    const int words = columns / 2;
    for (; rows > 0; rows -= 4, sums += 4) {
        const two_t *next = rows > 2 ? row + words : row, *values = (const two_t *)x;
        const two_t *const end = values + words;
        int32_t all = 0, even = 0, next_all = 0, next_even = 0;
        if (words & 1) {
            const int32_t a = *values++, b = *row++, c = *next++;
            all = __smlad(a, b, all);
            next_all = __smlad(a, c, next_all);
            even = __smlad(a, __sxtb16(b), even);
            next_even = __smlad(a, __sxtb16(c), next_even);
        }
        for (; values < end; values += 2, row += 2, next += 2) {
            const int32_t a = values[0], b = row[0], c = next[0], d = values[1], e = row[1], f = next[1];
            all = __smlad(d, e, __smlad(a, b, all));
            next_all = __smlad(d, f, __smlad(a, c, next_all));
            even = __smlad(d, __sxtb16(e), __smlad(a, __sxtb16(b), even));
            next_even = __smlad(d, __sxtb16(f), __smlad(a, __sxtb16(c), next_even));
        }
        sums[0] = even;
        sums[1] = (all - even) >> 8;
        sums[2] = next_even;
        sums[3] = (next_all - next_even) >> 8;
        row = next;
    }
}
#else
static void pair_sums(const int16_t *x, const int16_t *pairs, int rows, int columns, int32_t *sums)
{
    for (int row = 0; row < rows; row += 2) {
        int32_t all = 0, even = 0;
        for (int column = 0; column < columns; ++column) {
            const int32_t pair = pairs[column];
            all += x[column] * pair;
            even += x[column] * (int8_t)pair;
        }
        sums[row] = even;
        sums[row + 1] = (all - even) >> 8;
        pairs += columns;
    }
}
#endif
