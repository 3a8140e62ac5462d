"""The C functions that generated statements call: files in kernels/, some of them written for several types."""

from pathlib import Path

from keras_models.activation_tables import sigmoid_table

FOLDER = Path(__file__).with_name("kernels")
NEEDS = "// needs: "
# Kernel -> (file, what stands in it for what).
# What brings a sum to the scale of the result: a line proven for it, or what the kernels of TensorFlow Lite Micro do.
FINISHES = {
    "scaled": ("int32_t high, int32_t low, int bits, int32_t constant, int32_t below, int shift",
               "high, low, bits, constant, below, shift"),
    "rescale": ("int32_t fixed, int shift, int32_t zero", "fixed, shift, zero"),
}
TYPES = {
    "int8": {"OUT": "int8", "BITS": "8", "LEAST": "-128", "MOST": "127", "STORE": "vstrbq_p_s32",
             "NARROWED": "vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(narrow), narrow))"},
    "int16": {"OUT": "int16", "BITS": "16", "LEAST": "-32768", "MOST": "32767", "STORE": "vstrhq_p_s32",
              "NARROWED": "vreinterpretq_s32_s16(narrow)"},
}  # fmt: skip
WRITTEN_FOR = {
    **{f"saturated_{out}": ("saturated", words) for out, words in TYPES.items()},
    **{f"matmul_int8_to_{out}": ("matmul_int8", words) for out, words in TYPES.items()},
}
for finish, (parameters, arguments) in FINISHES.items():
    for out, words in TYPES.items():
        words = {"FINISH": finish, "PARAMETERS": parameters, "ARGUMENTS": arguments, **words}
        WRITTEN_FOR[f"finish_{finish}_to_{out}"] = (f"finish_{finish}", words)
        WRITTEN_FOR[f"matmul_pairs_{finish}_to_{out}"] = ("matmul_pairs", words)
KERNELS = frozenset({"sigmoid_table", *WRITTEN_FOR, *(path.stem for path in FOLDER.glob("*.c"))})


def kernel_texts(names: set[str]) -> list[str]:
    """The C of these kernels and of all they call, each after what it calls."""
    texts: dict[str, str] = {}
    for name in sorted(names):
        _add(name, texts)
    return list(texts.values())


def _add(name: str, texts: dict[str, str]) -> None:
    if name in texts:
        return
    if name == "sigmoid_table":
        texts[name] = _sigmoid_table()
        return
    file, replacements = WRITTEN_FOR.get(name, (name, {}))
    text = (FOLDER / f"{file}.c").read_text(encoding="utf-8")
    for old, new in replacements.items():
        text = text.replace(old, new)
    if text.startswith(NEEDS):
        first, text = text.split("\n", 1)
        for needed in first.removeprefix(NEEDS).split():
            _add(needed, texts)
    texts[name] = text


def _sigmoid_table() -> str:
    numbers = ", ".join(map(str, sigmoid_table()))
    return f"/* sigmoid(i / 24) in units of 2^-16. */\nstatic const uint16_t sigmoid_table[256] = {{{numbers}}};\n"
