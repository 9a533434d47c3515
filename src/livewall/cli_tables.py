"""Tables as commands print them: as wide as the terminal, and nothing in them is ever cut."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

# So far a column is narrowed by breaking its words.
NARROWEST = 9
GAP = 2


@dataclass
class Table:
    """Rows under names. Words in the columns `whole` are never broken over two lines.

    Those are what people type again or count by: ids, amounts, times.
    """

    columns: Sequence[str]
    whole: Collection[str]
    rows: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    def add_row(self, *cells: str) -> None:
        """Add a row with a cell for each column."""
        self.rows.append(cells)


def table(*columns: str, whole: Collection[str] = ()) -> Table:
    """Return a table to fill with rows; words in the columns `whole` are never broken."""
    return Table(columns, whole)


def show(filled: Table) -> None:
    """Print a table, folded into the terminal's width; in a file each row is one line.

    Where even folded columns are too wide, lines go on past the edge.
    """
    from rich import table as rich
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    widths = _widths(filled, console.width if sys.stdout.isatty() else None)
    console.width = _total(widths)
    printed = rich.Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for name, width in zip(filled.columns, widths, strict=True):
        printed.add_column(name, width=width, overflow="fold")
    for row in filled.rows:
        printed.add_row(*row)
    console.print(printed)


def _widths(filled: Table, available: int | None) -> list[int]:
    """Return the width of each column: the widest gives way until all of them fit, or none can."""
    from rich.cells import cell_len

    widths: list[int] = []
    least: list[int] = []
    for cells in zip(filled.columns, *filled.rows, strict=True):
        widths.append(max(map(cell_len, cells)))
        longest = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
        least.append(longest if cells[0] in filled.whole else min(longest, NARROWEST))
    while available is not None and _total(widths) > available:
        can_give = [i for i, width in enumerate(widths) if width > least[i]]
        if not can_give:
            break
        widths[max(can_give, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
