static void softmax_float(const float *x, float beta, int count, float *y)
{
    float largest = x[0], sum = 0.0f;
    for (int i = 1; i < count; ++i) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (int i = 0; i < count; ++i) {
        y[i] = expf((x[i] - largest) * beta);
        sum += y[i];
    }
    for (int i = 0; i < count; ++i) {
        y[i] /= sum;
    }
}
