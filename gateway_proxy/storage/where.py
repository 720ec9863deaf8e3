"""WHERE clauses put together piece by piece, with their numbered arguments, and placeholders. Values never enter the text."""

from typing import Any


def list_marks(count: int, first: int = 1) -> str:
    """So many placeholders, `$1, $2, …`."""
    return ", ".join(f"${number}" for number in range(first, first + count))


class Where:
    """Clauses joined by AND; `args` are their arguments in order, shared with further clauses of the same statement."""

    def __init__(self, args: list[Any] | None = None) -> None:
        self.args: list[Any] = [] if args is None else args
        self._clauses: list[str] = []

    def bind(self, value: Any) -> str:
        """The placeholder of a further argument."""
        self.args.append(value)
        return f"${len(self.args)}"

    def add(self, clause: str) -> None:
        self._clauses.append(clause)

    def equal(self, column: str, value: Any) -> None:
        """`column = value`, or nothing if the value is None."""
        if value is not None:
            self.add(f"{column} = {self.bind(value)}")

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self._clauses)}" if self._clauses else ""
