/* y = weights x + bias; weights: (rows, columns). */
static void matmul_float(const float *x, const float *weights, const float *bias, int rows, int columns, float *y)
{
    for (int row = 0; row < rows; ++row) {
        float sum = 0.0f;
        for (int column = 0; column < columns; ++column) {
            sum += weights[column] * x[column];
        }
        weights += columns;
        y[row] = sum + bias[row];
    }
}
