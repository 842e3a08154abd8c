"""The page: escaped, complete, self-contained, well-formed, the same bytes every time, replaced whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_example

from crucis.report import ReportError, build, glossary
from crucis.report import content as c
from crucis.report.check import faults, unexplained

VOID = {"meta", "br", "hr", "img", "link", "input", "use", "path", "image", "rect", "circle", "line"}


@pytest.fixture(scope="module")
def page() -> c.Page:
    return report_example.page()


@pytest.fixture(scope="module")
def folder(page: c.Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(page, tmp_path_factory.mktemp("report") / "report").parent


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


def small(**changes: object) -> c.Page:
    return replace(c.Page("T", "s", "Q?"), **changes)  # type: ignore[arg-type]


def table(*kinds: str, rows: tuple[c.Row, ...] = ()) -> c.Table:
    return c.Table(tuple(c.Column(f"c{i}", kind, says="x") for i, kind in enumerate(kinds)), rows)


class Reader(HTMLParser):
    """Checks that tags are balanced; collects texts, ids, links and the rows of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        (self.links if tag == "a" else self.sources).extend(filter(None, (given.get("href"), given.get("src"))))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing at {self.getpos()}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return reader


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_well_formed_with_distinct_ids(html: str) -> None:
    ids = read(html).ids
    assert len(ids) > 50 and len(ids) == len(set(ids))


def test_loads_nothing_from_outside(html: str) -> None:
    reader = read(html)
    assert all(source.startswith(("#", "data:")) for source in reader.sources)
    written = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=\s]+", "", html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", written)


def test_all_links_lead_somewhere(html: str, folder: Path) -> None:
    reader = read(html)
    for link in reader.links:
        assert (link[1:] in reader.ids) if link.startswith("#") else (folder / link).is_file(), link
    for reference in re.findall(r"url\(#([^)]+)\)", html):
        assert reference in reader.ids


def test_every_file_is_written_and_listed(page: c.Page, folder: Path) -> None:
    for figure in page.figures:
        assert (folder / f"figures/{figure.name}.svg").read_text("utf-8").startswith("<?xml")
        assert (folder / f"figures/{figure.name}.pdf").read_bytes().startswith(b"%PDF")
    listed = json.loads((folder / "files.json").read_text("utf-8"))["files"]
    assert set(listed) | {"files.json"} == set(files(folder))


def test_verdicts_in_words_come_first(html: str, page: c.Page) -> None:
    text = " ".join(read(html).text)
    places = [
        text.index(word)
        for word in (
            page.question,
            "1 is supported, 1 is refuted and 1 is inconclusive",
            "Figure 1.",
            "94 of 120 steps finished",
            "Exploratory analyses",
            "What this does not show",
            "To compute all of this again",
            "Environment and cost",
        )
    ]
    assert places == sorted(places)
    for verdict in page.verdicts:
        assert verdict.because in text and verdict.outcome.capitalize() in text


def test_full_keys_and_commands_stand_beside_figures(html: str, page: c.Page) -> None:
    first = page.figures[0].keys[0]
    assert f'<code title="{first}">{first[:12]}</code>' in html
    assert f"crucis reproduce {first[:12]}" in html and f"crucis show {first[:12]}" in html


def test_every_column_of_the_example_is_explained(page: c.Page, html: str) -> None:
    lacking = {column.name for column in unexplained(page)}
    assert lacking <= {"net", "first", "second"}
    assert glossary.explain("ripser.h1_total@slice=0") == glossary.TERMS["h1_total"]
    assert glossary.explain("nobody-knows") == ""


def test_texts_of_records_are_escaped() -> None:
    evil = "<script>alert('x')</script> & \"q\" \x00\x1b"
    rows = (c.Row((evil, c.Absent("refused", evil)), (evil,), (evil,)),)
    whole = small(
        title=evil,
        question=evil,
        preset=evil,
        summary=(evil,),
        limits=(evil,),
        commands=(evil,),
        power=(evil,),
        verdicts=(c.Verdict(evil, evil, "refuted", evil, (c.Criterion(evil, "fails", evil, evil),)),),
        analyses=(
            c.Analysis(
                evil,
                evil,
                evil,
                c.Table((c.Column(evil), c.Column("v", "number", evil, evil)), rows),
                notes=(evil,),
                missing=(evil,),
                keys=(evil,),
            ),
        ),
        figures=(
            c.Figure(
                evil, evil, c.Dots((c.Cloud(evil, (1.0,), c.Absent("failed", evil)),), c.Axis(evil)), evil, (evil,)
            ),
        ),
        environment=(c.Fact(evil, evil),),
        changes=(c.Change(evil, evil, evil, evil),),
        sources=(c.Source(evil, evil, evil),),
        design=c.Design((c.Factor(evil, (evil,)),), problems=(c.Problem(evil, evil, 1, "failed", evil, evil),)),
    )
    from crucis.report.build import _figures, _html

    html = _html(whole, _figures(whole)[1])
    read(html)
    assert "<script>alert" not in html and "\x00" not in html and "\x1b" not in html
    assert html.count("&lt;script&gt;alert") > 25


def test_same_content_same_bytes_in_another_process(folder: Path, tmp_path: Path) -> None:
    here = Path(report_example.__file__)
    seed = "4711" if os.environ.get("PYTHONHASHSEED") != "4711" else "1"
    env = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(here), str(tmp_path / "again")], check=True, env=env, capture_output=True)
    assert files(tmp_path / "again") == files(folder)


def test_nothing_is_written_or_drawn_if_nothing_changed(
    page: c.Page, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setitem(sys.modules, "crucis.report.draw.save", None)  # drawing would fail
    assert build(report_example.page(), folder) == folder / "index.html"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_damaged_file_is_mended(tmp_path: Path) -> None:
    index = build(small(), tmp_path)
    whole = index.read_bytes()
    for broken in (b"", whole[:100]):
        index.write_bytes(broken)
        assert build(small(), tmp_path).read_bytes() == whole
    (tmp_path / "files.json").write_text("[]")
    assert build(small(), tmp_path).read_bytes() == whole


def test_what_is_no_longer_there_is_removed_and_foreign_files_stay(tmp_path: Path) -> None:
    entry = c.Analysis("a", "describe", "s", table("text", rows=(c.Row(("x",)),)))
    build(small(analyses=(entry,)), tmp_path)
    (tmp_path / "tables/mine.csv").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    build(small(), tmp_path)
    assert not (tmp_path / "tables/analysis-a.csv").exists()
    assert (tmp_path / "tables/mine.csv").exists() and (tmp_path / "notes.txt").exists()


def test_a_list_that_points_outside_removes_nothing(tmp_path: Path) -> None:
    build(small(), tmp_path / "r")
    victim = tmp_path / "victim.csv"
    victim.write_text("x")
    listing = json.loads((tmp_path / "r/files.json").read_text())
    listing["files"].update({"../victim.csv": "0", "figures/../../victim.csv": "0"})
    (tmp_path / "r/files.json").write_text(json.dumps(listing))
    build(small(title="other"), tmp_path / "r")
    assert victim.exists()


def test_a_failure_while_writing_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(small(), tmp_path)
    old = index.read_bytes()

    def refuse(self: Path, target: object) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        build(small(title="new"), tmp_path)
    assert index.read_bytes() == old and not list(tmp_path.glob(".writing-*"))


def test_csv_is_the_table_unrounded(page: c.Page, folder: Path, html: str) -> None:
    shown = {tuple(rows[0]): rows for rows in read(html).tables}
    stage = page.stages[0]
    written = list(csv.DictReader(io.StringIO((folder / "tables/stage-task_a.csv").read_text("utf-8"))))
    on_page = shown["net", "accuracy (fraction)", "loss (nats)", "parameters", "seconds", "n"]
    assert len(written) == len(stage.table.rows) == len(on_page) - 1
    for row, line, cells in zip(stage.table.rows, written, on_page[1:], strict=True):
        net, accuracy, _, parameters, seconds, n = row.cells
        assert isinstance(accuracy, c.Estimate)
        assert line["net"] == net == cells[0]
        exact = [float(line[f"accuracy{end}"]) for end in ("", "_low", "_high")]
        assert exact == [accuracy.value, accuracy.low, accuracy.high]
        assert [round(value, 3) for value in exact] == [float(x) for x in re.findall(r"[\d.]+", cells[1])]
        assert int(line["parameters"]) == parameters == int(re.sub(r"\D", "", cells[3]))
        assert float(line["seconds"]) == seconds and line["n"] == str(n)
        assert line["records"].split() == list(row.keys)


def test_absent_values_are_named_in_csv_and_on_the_page(folder: Path, html: str) -> None:
    line = next(csv.DictReader(io.StringIO((folder / "tables/stage-ripser.csv").read_text("utf-8"))))
    assert line["h1_total"] == line["h1_total_low"] == "" and line["marks"] == "incomplete"
    assert line["absent"] == "h1_total: refused (the diagram is empty)"
    assert 'title="the diagram is empty">refused</td>' in html


def test_all_records_are_in_records_csv(page: c.Page, folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "tables/records.csv").read_text("utf-8"))))
    assert [row["record"] for row in rows] == [source.key for source in page.sources]


def test_a_p_value_never_stands_alone() -> None:
    row = c.Row((0.01,))
    alone = c.Analysis("a", "compare", "s", table("p", rows=(row,)))
    assert faults(small(analyses=(alone,))) == [
        "analysis 'a': a p-value needs an effect with its interval and n and the correction in words beside it"
    ]
    whole = c.Analysis("a", "compare", "s", table("estimate", "n", "p"), correction="none (one test)")
    assert faults(small(analyses=(whole,))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdicts": (c.Verdict("v", "s", "true", "b"),)}, "outcome 'true'"),
        ({"verdicts": (c.Verdict("v", "s", "refuted", "b", (c.Criterion("x", "no"),)),)}, "says 'no'"),
        ({"verdicts": (c.Verdict("v", "s", "refuted", "b", parts=(c.Part("l", "?"),)),)}, "verdict 'v', l"),
        ({"stages": (c.StageTable("s", "w", table("text", rows=(c.Row(()),))),)}, "0 cells for 1 columns"),
        ({"stages": (c.StageTable("s", "w", table("colour")),)}, "kind 'colour'"),
        ({"stages": (c.StageTable("s", "w", table("text", rows=(c.Row((c.Absent("lost"),)),))),)}, "says 'lost'"),
        ({"stages": (c.StageTable("s", "w", table("text")),) * 2}, "stage 's' is there twice"),
        ({"figures": (c.Figure("f", "t", c.Scatter(())),)}, "nothing to show"),
        ({"figures": (c.Figure("f", "t", c.Retention((c.Line("l", (0, 1), (1.0,)),))),)}, "2 places, 1 values"),
        (
            {
                "figures": (
                    c.Figure("f", "t", c.Curves((c.LinePanel("p", (c.Line("l", (), ()),)),), c.Axis("x"), c.Axis("y"))),
                )
            },
            "line 'l' is empty",
        ),
    ],
)
def test_contradictions_are_refused_before_anything_is_written(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ReportError) as caught:
        build(small(**changes), tmp_path / "r")
    assert words in str(caught.value) and not (tmp_path / "r").exists()


def test_an_empty_page_and_states_of_the_plan() -> None:
    from crucis.report.build import _html
    from crucis.report.view import of

    html = _html(small(), {})
    read(html)
    assert "This plan was not registered" in html and "records.csv" not in html
    done = c.Design(stages=(c.StageCount("a", "w", 2, 2),))
    assert of(small(design=done)).stage_sentence == "All 2 steps finished."
    one = c.Design(stages=(c.StageCount("a", "w", 3, 1, missing=1, sealed=1),))
    assert of(small(design=one)).stage_sentence == "1 of 3 steps finished; 1 sealed and 1 missing."


def test_importing_and_reusing_a_report_loads_nothing_heavy() -> None:
    code = (
        "import sys, crucis.report, crucis.report.content;"
        "bad = {'torch', 'scipy', 'pandas', 'matplotlib', 'numpy', 'jinja2', 'crucis.stats', 'crucis.study'};"
        "sys.exit(', '.join(sorted(bad & set(sys.modules))) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arrays_may_stand_for_tuples() -> None:
    import numpy as np

    one = c.Line("l", (0, 1), (1.0, 0.5))
    other = c.Line("l", np.array([0, 1]), np.array([1.0, 0.5]))
    assert c.plain(one) == c.plain(other)
    assert c.plain(one) != c.plain(replace(one, label="m"))
