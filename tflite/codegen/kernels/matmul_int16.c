// needs: rescale_64 clamped
/* y = rescaled (bias + weights x), between low and high; weights: (rows, columns). */
static void matmul_int16(const int16_t *x, const int8_t *weights, const int64_t *bias, int rows, int columns,
                         int32_t fixed, int shift, int32_t low, int32_t high, int16_t *y)
{
    for (int row = 0; row < rows; ++row) {
        int64_t sum = 0;
        for (int column = 0; column < columns; ++column) {
            sum += (int64_t)weights[column] * x[column];
        }
        weights += columns;
        y[row] = (int16_t)clamped(rescale_64(sum + bias[row], fixed, shift), low, high);
    }
}
