#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
#include <arm_acle.h>
#endif
static inline int32_t saturated_intBITS(int32_t value)
{
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
    return __ssat(value, BITS);
#else
    return value < LEAST ? LEAST : value > MOST ? MOST : value;
#endif
}
