// needs: scaled saturated_OUT row_sums
/* y = sums on a line, saturated. */
static void finish_scaled_to_OUT(const int32_t *sums, int count, int32_t high, int32_t low, int bits, int32_t constant,
                                 int32_t below, int shift, OUT_t *y)
{
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
    for (int i = 0; i < count; i += 4) { /* in the four vector registers that need not be saved */
        const int32x4_t sum = vldrwq_s32(sums + i), fine = vshlq_r_s32(vmulq_n_s32(sum, low), -bits);
        const int32x4_t coarse = vmlaq_n_s32(vaddq_n_s32(fine, constant), sum, high);
        const int32x4_t whole = vshlq_r_s32(vmlaq_n_s32(coarse, vshrq_n_s32(sum, 31), -below), -shift);
        const int16x8_t narrow = vqmovnbq_s32(vreinterpretq_s16_s32(whole), whole);
        STORE(y + i, NARROWED, vctp32q((uint32_t)(count - i)));
    }
#else
    for (int i = 0; i < count; ++i) {
        y[i] = (OUT_t)saturated_OUT(scaled(sums[i], high, low, bits, constant, below, shift));
    }
#endif
}
