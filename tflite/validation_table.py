"""One validation record as a table on stdout."""

from rich.console import Console
from rich.table import Table

from tflite.validation_record import model_name


def print_record(record: dict) -> None:
    """Prints the figures of a shipped model beside float, PTQ and the rivals."""
    table = Table(title=f"{record['scenario']}: {model_name(record)}", show_header=False)
    for name in ("metric", "nrmse", "coverage", "interval_width", "far", "mar"):
        figures = record.get(name)
        if figures:
            rivals = {f"rival, {rival}": value for rival, value in figures.get("rivals", {}).items()}
            rows = {key: value for key, value in {**figures, **rivals}.items() if isinstance(value, float)}
            title = figures.get("name", name.replace("_", " "))
            table.add_row(title, "\n".join(f"{value:.4f}  {key}" for key, value in rows.items()))
    events = record.get("events") or {}
    shipped = events.get("quantized") or {}
    for name, figures in {"events": shipped, **shipped.get("kinds", {})}.items():
        if figures:
            table.add_row(name, _noticed(figures))
    for pair in record["parity"]:
        state = "state forced equal" if pair["state_forced"] else "running freely"
        table.add_row(
            f"{pair['runtime']} against {pair['reference']}",
            f"{pair['max_lsb']:g} quanta at most, "
            f"{pair['mismatched']:.3%} of elements differ, {pair['steps']:,} steps, {state}",
        )
    drift, memory, latency = record["drift"], record["memory"], record["latency_us"]
    table.add_row(
        "free-running",
        f"{drift['steps']:,} steps, {drift['rmse']:.4g} RMSE from float, {drift['rmse_tflm']:.4g} "
        f"LiteRT from TFLM, {drift['saturated']:.2%} of state elements saturated",
    )
    table.add_row(
        "bytes", f"{record['bytes']:,} model, {memory['arena_bytes']:,} TFLM arena, {memory['state_bytes']:,} state"
    )
    table.add_row("LiteRT step", f"p50 {latency['p50']:.1f} us, p99 {latency['p99']:.1f} us")
    for core, instructions in record.get("instructions", {}).items():
        text = f"{instructions:,} instructions a step"
        if core in record.get("flash", {}):
            text += f", {record['flash'][core]:,} bytes of flash, {record['ram'][core]:,} of RAM"
        table.add_row(core.upper() if core == "arm64" else f"Cortex-{core.upper()}", text)
    npu = record.get("ethos_u", {})
    if "cycles" in npu:
        told = f"{npu['on_npu']} of {npu['operators']} operators, {npu['cycles']:,} cycles a step"
        table.add_row(f"{npu['accelerator']}, estimated", f"{told} ({npu['by']})")
    Console().print(table)


def _noticed(figures: dict) -> str:
    """`38 of 40 detected, median delay 55 s, 2 false alarms in 51.2 h`, as far as there are such figures."""
    parts = []
    if "recall" in figures:
        parts.append(f"{round(figures['recall'] * figures['number'])} of {figures['number']} detected")
    if "median_delay" in figures:
        parts.append(f"median delay {figures['median_delay']:g} s")
    if "hours" in figures:
        parts.append(f"{figures['false_alarms']} false alarms in {figures['hours']:.1f} h")
    return ", ".join(parts)
