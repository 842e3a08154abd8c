"""What the checks of a study's meaning find: faults with their places, and the names that are at fault."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import Fault
from .spec import Study


@dataclass
class Findings:
    """Collects faults. `bad` are names of columns and analyses with a fault: what reads them is not reported again."""

    study: Study
    faults: list[Fault] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)

    def add(self, code: str, path: str, text: str, *, note: bool = False) -> None:
        """Report once what stands at `path`, or at the nearest enclosing path that has a place."""
        place = self.study.place(path)
        fault = Fault(code, text, path, place.file or self.study.file, place.line, place.column, note=note)
        if fault not in self.faults:
            self.faults.append(fault)

    def item(self, path: str, index: int) -> str:
        """The path of an entry of a list, or of the single value that stands in place of the list."""
        inner = f"{path}[{index}]"
        return inner if inner in self.study.places or path not in self.study.places else path
