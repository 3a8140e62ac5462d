/* int8 as int16; one zero more where their number is odd. */
static void widened(const int8_t *x, int count, int16_t *wide)
{
    for (int i = 0; i < count; ++i) {
        wide[i] = x[i];
    }
    if (count & 1) {
        wide[count] = 0;
    }
}
