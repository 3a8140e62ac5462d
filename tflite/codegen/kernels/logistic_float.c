/* The ends as TensorFlow Lite's reference kernel cuts them. */
static float logistic_float(float x)
{
    if (x > 16.619047164916992188f) {
        return 1.0f;
    }
    return x < -9.0f ? expf(x) : 1.0f / (1.0f + expf(-x));
}
