"""`ftervit schemes`: every method that can be trained, what it quantises how, and what that takes."""

from __future__ import annotations

from typing import Any

import click

from .output import Output, megabytes, output_options, percent, table


@click.command()
@click.argument("name", required=False)
@click.option(
    "--preset", default="deit_small_224", show_default=True, help="Architecture to count bytes for."
)
@output_options
@click.pass_obj
def schemes(output: Output, /, name: str | None, preset: str) -> None:
    """List the schemes of `ftervit train`, or show every rule and byte of the scheme NAME.

    Codes count with their whole bits, everything else with 32 bits each.
    """
    from ..architecture import architecture_named
    from ..schemes import SCHEMES, scheme_named

    architecture = architecture_named(preset)
    if name is not None:
        scheme = _described(scheme_named(name), architecture)
        output.result({**scheme, "preset": preset}, lambda: _details(scheme, preset))
        return
    listed = [_described(scheme, architecture) for scheme in SCHEMES.values()]
    output.result({"preset": preset, "schemes": listed}, lambda: _overview(listed, preset))


def _described(scheme: Any, architecture: Any) -> dict[str, Any]:
    from ..image import scheme_parts
    from ..schemes import rules_of

    parts = scheme_parts(architecture, scheme)
    return {
        "name": scheme.name,
        "source": scheme.source,
        "rules": list(rules_of(scheme)),
        "left_out": scheme.left_out,
        "obstacle": scheme.obstacle(),
        "bytes": sum(part.bytes for part in parts),
        "parts": [
            {"name": p.name, "numbers": p.numbers, "bits": p.bits, "bytes": p.bytes, "quantised": p.quantised}
            for p in parts
        ],
    }


def _left_over(scheme: dict[str, Any]) -> float:
    left = sum(part["bytes"] for part in scheme["parts"] if not part["quantised"])
    return float(left / scheme["bytes"])


def _overview(listed: list[dict[str, Any]], preset: str) -> str:
    from ..schemes import SCHEMES

    rows = []
    for scheme in listed:
        groups = SCHEMES[scheme["name"]].weights().values()
        widths = [f"{rule.bits}" if rule else "32" for rule in groups]
        inputs = SCHEMES[scheme["name"]].inputs
        rows.append([
            scheme["name"], *widths, f"{inputs.bits}" if inputs else "32", megabytes(scheme["bytes"]),
            percent(_left_over(scheme)), "no" if scheme["obstacle"] else "yes", scheme["source"],
        ])  # fmt: skip
    width = max(len(row[-1]) for row in rows)
    headings = ["bits of", "encoder", "patch", "head", "norm", "inputs", preset, "left over", "packs"]
    return table([[*row[:-1], row[-1].ljust(width)] for row in rows], [*headings, "source".ljust(width)])


def _details(scheme: dict[str, Any], preset: str) -> str:
    lines = [f"{scheme['name']} ({scheme['source']})", *(f"  {rule}" for rule in scheme["rules"])]
    if scheme["left_out"]:
        lines.append(f"Of the method as published this leaves out: {scheme['left_out']}.")
    if scheme["obstacle"]:
        lines.append(f"The engine cannot run it: {scheme['obstacle']}.")
    parts = [
        [part["name"], f"{part['numbers']:,}", f"{part['bits']}", f"{part['bytes']:,}"]
        for part in scheme["parts"]
    ]
    parts.append(["total", "", "", f"{scheme['bytes']:,}"])
    parts.append(["left over", "", "", percent(_left_over(scheme))])
    return "\n".join([*lines, "", table(parts, [preset, "numbers", "bits", "bytes"])])
