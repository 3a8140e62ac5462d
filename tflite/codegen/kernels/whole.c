/* The integer before the point of a real; 0 where it is no number. */
static int32_t whole(float real)
{
    if (!(real > -2147483648.0f)) {
        return real < 0.0f ? INT32_MIN : 0;
    }
    return real < 2147483648.0f ? (int32_t)real : INT32_MAX;
}
