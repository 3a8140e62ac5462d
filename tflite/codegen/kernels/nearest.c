/* The integer nearest to a real, halves away from zero, within low ... high; low where the real is no number. */
static int32_t nearest(float real, int32_t low, int32_t high)
{
    if (!(real > (float)low)) {
        return low;
    }
    return real < (float)high ? (int32_t)roundf(real) : high;
}
