// needs: pair_sums FINISH clamped
/* y = offsets + weights x, brought to the scale of y, between least and most. x: (columns), `pairs` as pair_sums has
   them; offsets: of each row, the bias less what the zero point of x adds. */
static void matmul_pairs_FINISH_to_OUT(const int16_t *x, const int16_t *pairs, const int32_t *offsets, int rows,
                                       int columns, PARAMETERS, int32_t least, int32_t most,
                                       OUT_t *y)
{
    for (int row = 0; row < rows; row += ROWS) {
        int32_t sums[ROWS];
        pair_sums(x, pairs, row + 2 < rows ? pairs + columns : pairs, columns, sums);
        for (int i = 0; i < ROWS && row + i < rows; ++i) {
            const int32_t sum = offsets[row + i] + sums[i];
            y[row + i] = (OUT_t)clamped(FINISHED, least, most);
        }
        pairs += ROWS / 2 * columns;
    }
}
