// needs: row_sums finish_FINISH_to_OUT
/* y = weights x + what the rows start with, brought to the scale of y, saturated. x: (columns); `pairs` and `starts` as
   row_sums has them. */
static void matmul_pairs_FINISH_to_OUT(const int16_t *x, const int16_t *pairs, const int32_t *starts, int rows,
                                       int columns, PARAMETERS, OUT_t *y)
{
    for (; rows > 0; rows -= BLOCK) {
        int32_t sums[BLOCK];
        const int count = rows < BLOCK ? rows : BLOCK;
        row_sums(x, pairs, starts, count, columns, sums);
        finish_FINISH_to_OUT(sums, count, ARGUMENTS, y);
        pairs += BLOCK / 2 * columns;
        starts += BLOCK;
        y += BLOCK;
    }
}
