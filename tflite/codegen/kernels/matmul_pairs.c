// needs: pair_sums FINISH saturated_OUT
/* y = offsets + weights x, brought to the scale of y, saturated. x: (columns), `pairs` as pair_sums has
   them; offsets: of each row, the bias less what the zero point of x adds. */
static void matmul_pairs_FINISH_to_OUT(const int16_t *x, const int16_t *pairs, const int32_t *offsets, int rows,
                                       int columns, PARAMETERS, OUT_t *y)
{
    for (int row = 0; row < rows; row += BLOCK) {
        int32_t sums[BLOCK];
        const int count = rows - row < BLOCK ? rows - row : BLOCK;
        pair_sums(x, pairs, count, columns, sums);
        for (int i = 0; i < count; ++i) {
            const int32_t sum = offsets[i] + sums[i];
            y[i] = (OUT_t)saturated_OUT(FINISHED);
        }
        pairs += BLOCK / 2 * columns;
        offsets += BLOCK;
        y += BLOCK;
    }
}
