"""From content to bytes: one picture as SVG for the page and the file, and as PDF. The same content, the same bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crucis.report.content import FigureData
from crucis.report.draw.style import RC, WIDE, Layout

FONTS = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_PATH = re.compile(r' (d|points|x|y|transform)="([^"]*)"')
_LONG = re.compile(r"-?\d+\.\d{3,}")


@contextmanager
def _manners(salt: str) -> Iterator[None]:
    """Our settings only, whatever the user's matplotlibrc says; the caller's settings afterwards."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        settings: dict[Any, Any] = {**RC, "svg.hashsalt": salt}
        matplotlib.rcParams.update(settings)
        yield


def _short(match: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point; scales of glyphs and images stay as they are."""
    name, text = match.groups()
    if "scale(" in text or "matrix(" in text:
        return match.group(0)
    return f' {name}="{_LONG.sub(lambda number: f"{float(number.group(0)):.2f}", text)}"'


def _tidy(svg: str) -> str:
    """One `<svg>` element without prolog, date and metadata, with the page's fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"'DejaVu Sans'(, [^;\"]*?)?(?=[;\"])", FONTS, svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    named = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in named else "", svg)
    return _PATH.sub(_short, svg).strip() + "\n"


def inline(svg: str, label: str, layout: Layout) -> str:
    """The same picture for the inside of an HTML page: scales with its box, has a name for screen readers."""
    from markupsafe import escape

    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    if box is None:
        raise ValueError("the picture has no viewBox")
    name = escape("".join(char for char in label if char >= " "))
    share = min(100.0, 100 * float(box[1]) / (72 * layout.width))
    start = f'<svg viewBox="0 0 {box[1]} {box[2]}" role="img" aria-label="{name}" style="max-width:{share:.1f}%">'
    body = re.sub(r"<style.*?</style>", "", body, flags=re.S)  # would hold for the whole page; page.css says the same
    return start + re.sub(r"\bxlink:href=", "href=", body.strip())


def write(data: FigureData, path: Path) -> None:
    """One picture as a file of its own, in the format that its name ends in (svg, pdf or png)."""
    from crucis.report.draw import painter

    with _manners(f"crucis {path.stem}"):
        fig: Any = painter(data)(data, WIDE)
        fig.savefig(path, dpi=200, metadata={} if path.suffix == ".png" else {"Creator": None})


def render(data: FigureData, name: str, layouts: tuple[Layout, ...]) -> tuple[dict[str, str], bytes]:
    """The picture as SVG text per layout, and as PDF of the first layout.

    Args:
        data: one of the kinds of `content`.
        name: salts the ids inside the SVG, so that no two pictures of a page share one.
        layouts: the widths to draw.

    Cost: 50 to 300 ms per layout.
    """
    from crucis.report.draw import painter

    texts: dict[str, str] = {}
    pdf = b""
    for layout in layouts:
        with _manners(f"crucis {name} {layout.name}"):
            fig: Any = painter(data)(data, layout)
            out = io.BytesIO()
            fig.savefig(
                out, format="svg", dpi=200, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
            )
            texts[layout.name] = _tidy(out.getvalue().decode("utf-8"))
            if not pdf:
                out = io.BytesIO()
                fig.savefig(
                    out, format="pdf", dpi=200, metadata={"CreationDate": None, "Creator": None, "Producer": None}
                )
                pdf = out.getvalue()
    return texts, pdf
