/* value * fixed / 2^shift, rounded once, halves upwards; saturates. */
static int32_t rescale_64(int64_t value, int32_t fixed, int shift)
{
    const int64_t result = (value * fixed + (INT64_C(1) << (shift - 1))) >> shift;
    return result < INT32_MIN ? INT32_MIN : result > INT32_MAX ? INT32_MAX : (int32_t)result;
}
