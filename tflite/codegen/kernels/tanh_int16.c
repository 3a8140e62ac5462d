// needs: sigmoid_table
/* Hyperbolic tangent of position / (3 * 2^12), in units of 2^-15: 2 sigmoid(2 x) - 1. */
static int16_t tanh_int16(int32_t position)
{
    const uint32_t size = (uint32_t)(position < 0 ? -position : position);
    const uint32_t whole = size >> 8;
    int32_t result = INT32_C(0xFFFF) << 8;
    if (whole < 255) {
        const uint32_t below = sigmoid_table[whole];
        result = (int32_t)((below << 8) + (size & 0xFF) * (sigmoid_table[whole + 1] - below));
    }
    result -= 1 << 23;
    result = (position < 0 ? -result - 1 : result) + (1 << 7);
    return (int16_t)(result >> 8);
}
