/* A line of 32-bit integers that the generator proved equal to the kernel's rescaling (see exact_lines.py). */
static inline int32_t scaled(int32_t value, int32_t high, int32_t low, int bits, int32_t constant, int32_t below,
                             int shift)
{
    return (value * high + constant + ((value >> 31) & below) + ((value * low) >> bits)) >> shift;
}
