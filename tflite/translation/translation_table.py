"""The validation record of a translation as a table on stdout."""

from typing import Any

from rich.console import Console
from rich.table import Table

from tflite.validation_record import model_name

NAMES = {"float": "float32", "ptq": "calibrated only", "quantized": "shipped"}


def print_translation(record: dict[str, Any]) -> None:
    """Prints the figures of a shipped translator beside float, PTQ and the rivals."""
    table = Table("", "BLEU", "exact", "as Keras float", title=f"{record['scenario']}: {model_name(record)}")
    for form, name in NAMES.items():
        same = f"{record['identity'][form]:.1%} of sentences, {record['token_identity'][form]:.1%} of sub-words"
        table.add_row(name, f"{record['metric'][form]:.2f}", f"{record['exact_match'][form]:.1%}", same)
    beam = record["beam"]
    table.add_row(f"shipped, beam {beam['width']}", f"{beam['bleu']:.2f}", f"{beam['exact_match']:.1%}", "")
    for name, rival in record["metric"]["rivals"].items():
        exact = record["exact_match"]["rivals"][name]
        table.add_row(f"rival, {name}", f"{rival['value']:.2f}", f"{exact:.1%}", "")
    arenas, memory = record["memory"]["signatures"], record["memory"]
    table.caption = "\n".join(
        [
            f"{record['sentences']:,} sentences, {record['references']:,} references",
            f"{record['bytes']:,} bytes; TFLM arenas "
            + ", ".join(f"{name} {size:,}" for name, size in arenas.items())
            + f"; state {memory['state_bytes']:,}",
            *(
                f"{pair['signature']}, {pair['runtime']} against {pair['reference']}: {pair['max_lsb']:g} quanta at"
                f" most, {pair['steps']:,} steps"
                for pair in record["parity"]
            ),
            f"decode p50 {record['latency_us']['p50']:.0f} us, a sentence {record['sentence_ms']:.1f} ms",
        ]
    )
    Console().print(table)
