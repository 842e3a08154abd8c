"""One table as rows for the page, as CSV (unrounded, one line per row) and as LaTeX (as shown, booktabs)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from crucis.report import numbers
from crucis.report.content import Absent, Cell, Column, Estimate, Table
from crucis.report.glossary import explain

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": r"\textbar{}", "-": "-",
    numbers.MINUS: "$-$", numbers.THIN: r"\,", "\u2009": r"\,", "×": r"$\times$", "∞": r"$\infty$", numbers.DASH: "--",
    "ρ": r"$\rho$", "τ": r"$\tau$", "Δ": r"$\Delta$", "δ": r"$\delta$", "λ": r"$\lambda$", "σ": r"$\sigma$",
    "≤": r"$\le$", "≥": r"$\ge$", "±": r"$\pm$", "·": r"$\cdot$", "→": r"$\to$", "@": "@",
}  # fmt: skip
_SUPER = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))


@dataclass(frozen=True)
class Shown:
    """A cell as it stands on the page: text, what to sort by, class, and a longer text to hover over."""

    text: str
    sort: str
    kind: str
    title: str = ""


def heading(column: Column) -> str:
    """`accuracy (fraction)`; units that say nothing stay away."""
    return (
        f"{column.name} ({column.unit})" if column.unit not in ("", "1", "count", "text", column.name) else column.name
    )


def legend(table: Table) -> list[tuple[str, str]]:
    """Every column of the table that can be explained, with its explanation."""
    found = ((column.name, column.says or explain(column.name)) for column in table.columns)
    return [(name, says) for name, says in found if says]


def _sort(value: Cell) -> str:
    if isinstance(value, Estimate):
        return repr(float(value.value))
    if isinstance(value, (int, float)):
        return repr(float(value))
    return "" if value is None or isinstance(value, Absent) else value


def decimals(table: Table) -> list[int | None]:
    """Per column the decimals that its estimates share."""
    return [numbers.common_decimals(row.cells[index] for row in table.rows) for index in range(len(table.columns))]


def shown(value: Cell, column: Column, places: int | None = None) -> Shown:
    """The cell as the page shows it."""
    if isinstance(value, Absent):
        return Shown(value.state, "", "absent", value.why)
    kind = "text" if column.kind == "text" and isinstance(value, str) else "num"
    if value is None:
        kind = "num" if column.kind != "text" else "text"
    exact = repr(value.value) if isinstance(value, Estimate) else repr(value) if isinstance(value, float) else ""
    return Shown(numbers.cell(value, column.kind, places), _sort(value), kind, exact)


def _plain(value: Cell) -> str:
    if value is None or isinstance(value, Absent):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _cells(value: Cell, column: Column) -> list[str]:
    if column.kind != "estimate":
        return [_plain(value.value if isinstance(value, Estimate) else value)]
    if isinstance(value, Estimate):
        return [_plain(value.value), _plain(value.low), _plain(value.high)]
    return [_plain(value), "", ""]


def _why(value: Cell, column: Column) -> str:
    if not isinstance(value, Absent):
        return ""
    return f"{column.name}: {value.state}" + (f" ({value.why})" if value.why else "")


def as_csv(table: Table) -> str:
    """Header and rows. An estimate takes three columns (NAME, NAME_low, NAME_high); what is absent is empty and named
    in the column `absent`; `marks` and `records` (full keys) close the row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head: list[str] = []
    for column in table.columns:
        head += [column.name] + ([f"{column.name}_low", f"{column.name}_high"] if column.kind == "estimate" else [])
    writer.writerow([*head, "absent", "marks", "records"])
    for row in table.rows:
        pairs = list(zip(row.cells, table.columns, strict=True))
        absent = "; ".join(filter(None, (_why(value, column) for value, column in pairs)))
        cells = [text for value, column in pairs for text in _cells(value, column)]
        writer.writerow([*cells, absent, "; ".join(row.marks), " ".join(row.keys)])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """Header and rows as the page shows them; numbers to the right. Marks of rows are a column of their own."""
    marked = any(row.marks for row in table.rows)
    head = [*(heading(column) for column in table.columns), *(["marks"] if marked else [])]
    align = [*("---" if column.kind == "text" else "---:" for column in table.columns), *(["---"] if marked else [])]
    lines, places = [head, align], decimals(table)
    for row in table.rows:
        cells = [shown(*triple).text for triple in zip(row.cells, table.columns, places, strict=True)]
        lines.append([*cells, *(["; ".join(row.marks)] if marked else [])])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def latex(text: str) -> str:
    """Text with everything that LaTeX would take for a command made harmless."""
    out: list[str] = []
    for char in text:
        if char in _SUPER:
            out.append(f"$^{{{_SUPER[char]}}}$")
        elif char >= " ":
            out.append(_LATEX.get(char, char))
    return "".join(out).replace("}$$^{", "")


def as_latex(table: Table, caption: str, label: str) -> str:
    """A `table` environment for `\\input`; needs the package booktabs."""
    align = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table}", "  \\centering", f"  \\caption{{{latex(caption)}}}"]
    lines += [f"  \\label{{tab:{label}}}", f"  \\begin{{tabular}}{{{align}}}", "    \\toprule"]
    lines.append("    " + " & ".join(latex(heading(column)) for column in table.columns) + " \\\\")
    lines.append("    \\midrule")
    for row in table.rows:
        cells = [shown(*triple).text for triple in zip(row.cells, table.columns, decimals(table), strict=True)]
        lines.append("    " + " & ".join(map(latex, cells)) + " \\\\")
    lines += ["    \\bottomrule", "  \\end{tabular}"]
    notes = [f"\\textit{{{latex(name)}}}: {latex(says)}" for name, says in legend(table)]
    if notes:
        lines.append("  \\par\\smallskip\\footnotesize " + "; ".join(notes) + ".")
    return "\n".join([*lines, "\\end{table}", ""])
