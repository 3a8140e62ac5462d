// needs: rescale clamped
/* y = zero + rescaled (offsets + weights x), between zero + low and zero + high.
   weights: (rows, columns); offsets: of each row, the bias less what the zero point of x adds. */
static void matmul_int8_to_OUT(const int8_t *x, const int8_t *weights, const int32_t *offsets, int rows, int columns,
                               int32_t fixed, int shift, int32_t zero, int32_t low, int32_t high, OUT_t *y)
{
    for (int row = 0; row < rows; ++row) {
        int32_t sum = offsets[row];
        for (int column = 0; column < columns; ++column) {
            sum += weights[column] * x[column];
        }
        weights += columns;
        y[row] = (OUT_t)(zero + clamped(rescale(sum, fixed, shift), low, high));
    }
}
