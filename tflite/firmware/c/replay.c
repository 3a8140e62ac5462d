/* Steps the model through a stream made on the device and says what came of it, a line `name value` each.

   The stream is a walk of small integers, made alike in Python (golden_stream.py); the checksum is zlib's crc32. */
#include <stddef.h>

#include "ends.h"
#include "semihosting.h"

#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define SYSTICK_MASK 0xFFFFFFu
#define PAINT 0xC0DEC0DEu

extern uint32_t stack_limit;

static model_state state;

/* Each ends with one of size 0. */
static const end_t inputs[] = INPUTS, outputs[] = OUTPUTS, states[] = STATES;

void fault(void)
{
    say("fault 1\n");
    leave(3);
}

static void say_number(const char *name, uint32_t value)
{
    char digits[12];
    char *digit = digits + sizeof digits;
    *--digit = '\0';
    *--digit = '\n';
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(name);
    say(" ");
    say(digit);
}

static uint32_t checked(uint32_t crc, const void *bytes, size_t count)
{
    const uint8_t *byte = bytes;
    crc = ~crc;
    while (count--) {
        crc ^= *byte++;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

/* The next integer of an element's walk, -128 ... 127. */
static int32_t walked(int32_t from)
{
    static uint32_t seed = 1;
    seed = seed * 1664525u + 1013904223u;
    from += (int32_t)(seed >> 27) - 16 + (int32_t)((seed >> 26) & 1);
    return from < -128 ? -128 : from > 127 ? 127 : from;
}

static void read_sensors(void)
{
    static int8_t walks[ELEMENTS];
    int8_t *walk = walks;
    for (const end_t *input = inputs; input->size; ++input) {
        for (size_t i = 0; i < input->size; ++i, ++walk) {
            *walk = (int8_t)walked(*walk);
            switch (input->type) {
            case 'b': ((int8_t *)input->data)[i] = *walk; break;
            case 'h': ((int16_t *)input->data)[i] = (int16_t)(*walk * 256); break;
            default: ((float *)input->data)[i] = (float)*walk * 0.03125f;
            }
        }
    }
}

static uint32_t checked_ends(uint32_t crc, const end_t *end)
{
    for (; end->size; ++end) {
        crc = checked(crc, end->data, end->bytes);
    }
    return crc;
}

int main(void)
{
    uint32_t crc = 0, ticks = 0;
    uint32_t *bottom;
    __asm volatile("mov %0, sp" : "=r"(bottom));
    for (uint32_t *word = &stack_limit; word < bottom; ++word) {
        *word = PAINT;
    }
    SYSTICK[1] = SYSTICK_MASK;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* the core's clock, counting down, no interrupt */
    model_init(&state);
    for (uint32_t step = 0; step < STEPS; ++step) {
        read_sensors();
        for (uint32_t wait = step * 7 % 61; wait; --wait) {
            __asm volatile("nop"); /* steps begin anywhere between two ticks of the clock, so that its whole ticks average */
        }
        const uint32_t before = SYSTICK[2];
        const int refused = STEP(&state);
        ticks += (before - SYSTICK[2]) & SYSTICK_MASK;
        if (refused) {
            say("refused 1\n");
            leave(1);
        }
        crc = checked_ends(crc, outputs);
    }
    const uint32_t *deepest = &stack_limit;
    while (deepest < bottom && *deepest == PAINT) {
        ++deepest;
    }
    say_number("crc", checked_ends(crc, states));
    say_number("ticks", ticks);
    say_number("stack", (uint32_t)((uintptr_t)bottom - (uintptr_t)deepest));
    leave(0);
}
