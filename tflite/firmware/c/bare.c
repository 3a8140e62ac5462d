/* The least firmware of a model: one reading after the other. What it weighs is what the model costs a device. */
#include "ends.h"

static model_state state;

int main(void)
{
    model_init(&state);
    for (;;) {
        STEP(&state);
    }
}
