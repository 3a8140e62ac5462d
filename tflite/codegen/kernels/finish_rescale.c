// needs: rescale saturated_OUT
/* y = zero + rescaled sums, saturated. */
static void finish_rescale_to_OUT(const int32_t *sums, int count, int32_t fixed, int shift, int32_t zero, OUT_t *y)
{
    for (int i = 0; i < count; ++i) {
        y[i] = (OUT_t)saturated_OUT(rescale(sums[i], fixed, shift) + zero);
    }
}
