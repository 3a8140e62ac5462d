// needs: sigmoid_table
/* Sigmoid of position / (3 * 2^12), in units of 2^-15. */
static int16_t logistic_int16(int32_t position)
{
    const uint32_t size = (uint32_t)(position < 0 ? -position : position);
    const uint32_t whole = size >> 9;
    uint32_t result = UINT32_C(0x7FFF) << 10;
    if (whole < 255) {
        const uint32_t below = sigmoid_table[whole];
        result = (below << 9) + (size & 0x1FF) * (sigmoid_table[whole + 1] - below);
    }
    result = position < 0 ? (UINT32_C(1) << 25) - result + (1 << 9) - 1 : result + (1 << 9);
    return (int16_t)(result >> 10);
}
