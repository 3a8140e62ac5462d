"""A C++ header that may be included twice."""


def guarded(guard: str, text: str) -> str:
    """The text with its include guard behind the first line, which tells where the file comes from."""
    first, _, rest = text.partition("\n")
    return f"{first}\n#ifndef {guard.upper()}\n#define {guard.upper()}\n{rest}\n#endif\n"
