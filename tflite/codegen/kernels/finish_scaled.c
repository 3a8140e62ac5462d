// needs: scaled saturated_OUT row_sums
/* y = sums on a line, saturated. */
static void finish_scaled_to_OUT(const int32_t *sums, int count, int32_t high, int32_t low, int bits, int32_t constant,
                                 int32_t below, int shift, OUT_t *y)
{
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
    for (int i = 0; i < count; i += 4) {
        const int32x4_t sum = vldrwq_s32(sums + i), sign = vandq_s32(vshrq_n_s32(sum, 31), vdupq_n_s32(below));
        const int32x4_t fine = vshlq_r_s32(vmulq_n_s32(sum, low), -bits);
        const int32x4_t coarse = vmlaq_n_s32(vaddq_s32(vdupq_n_s32(constant), sign), sum, high);
        const int32x4_t whole = vshlq_r_s32(vaddq_s32(coarse, fine), -shift);
        const int32x4_t within = vminq_s32(vmaxq_s32(whole, vdupq_n_s32(LEAST)), vdupq_n_s32(MOST));
        STORE(y + i, within, vctp32q((uint32_t)(count - i)));
    }
#else
    for (int i = 0; i < count; ++i) {
        y[i] = (OUT_t)saturated_OUT(scaled(sums[i], high, low, bits, constant, below, shift));
    }
#endif
}
