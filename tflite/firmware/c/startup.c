/* Bare metal: the vector table, what must run before C, then main. */
#include <stdint.h>

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;

int main(void);
void reset(void);
void start(void);
void fault(void);

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)&stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

/* Coprocessors 10 and 11 (FPU, MVE) are off after a reset, and any C may use their registers. */
__attribute__((naked)) void reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    __asm volatile("ldr r0, =0xE000ED88\n\t" /* CPACR */
                   "ldr r1, [r0]\n\t"
                   "orr r1, r1, #0x00F00000\n\t"
                   "str r1, [r0]\n\t"
                   "dsb\n\t"
                   "isb\n\t"
                   "b start\n\t"
                   ".ltorg");
#else
    __asm volatile("ldr r0, =start\n\t"
                   "bx r0\n\t"
                   ".ltorg");
#endif
}

__attribute__((noreturn, used)) void start(void)
{
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; ++to) {
        *to = 0;
    }
    main();
    for (;;) {
    }
}

__attribute__((weak)) void fault(void)
{
    for (;;) {
    }
}
