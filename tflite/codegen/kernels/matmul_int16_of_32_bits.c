// needs: rescale clamped
/* y = rescaled (bias + weights x), between low and high, all in 32 bits; weights: (rows, columns). */
static void matmul_int16_of_32_bits(const int16_t *x, const int8_t *weights, const int32_t *bias, int rows, int columns,
                                    int32_t fixed, int shift, int32_t low, int32_t high, int16_t *y)
{
    for (int row = 0; row < rows; ++row) {
        int32_t sum = bias[row];
        for (int column = 0; column < columns; ++column) {
            sum += weights[column] * x[column];
        }
        weights += columns;
        y[row] = (int16_t)clamped(rescale(sum, fixed, shift), low, high);
    }
}
