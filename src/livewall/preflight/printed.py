"""Expressions as PostgreSQL prints them, told apart by what they mean and not by what they were.

`(a, b) IS DISTINCT FROM (c, d)` and `BETWEEN` are kept as nested ANDs and ORs: `((a OR b) OR c)`. A
dump writes them so, and read back they are kept flat: `(a OR b OR c)`. Both are the same, and a
restored database has not been tampered with.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'            # string; what is in it is left alone
    | "(?:[^"]|"")*"            # name
    | [()]
    | \b(?:AND|OR)\b
    | (?:(?!\b(?:AND|OR)\b)[^'"()])+
    """,
    re.VERBOSE,
)
JOINING = ("AND", "OR")


@dataclass(eq=False)
class _Group:
    """What stands in a pair of parentheses: words, and further groups."""

    parts: list["str | _Group"] = field(default_factory=list["str | _Group"])

    @property
    def joined_by(self) -> str | None:
        """AND or OR, if its operands are joined by that and nothing else."""
        words = {part for part in self.parts if isinstance(part, str) and part in JOINING}
        return words.pop() if len(words) == 1 else None

    def text(self) -> str:
        return "".join(
            part if isinstance(part, str) else f"({part.text()})" for part in _flat(self)
        )


def flat(text: str) -> str:
    """Return a printed expression with no AND within an AND, and no OR within an OR."""
    stack = [_Group()]
    for word in TOKEN.findall(text):
        if word == "(":
            stack.append(_Group())
        elif word == ")" and len(stack) > 1:
            group = stack.pop()
            stack[-1].parts.append(group)
        else:
            stack[-1].parts.append(word)
    while len(stack) > 1:  # never closed: no expression, and left as it is
        group = stack.pop()
        stack[-1].parts += ["(", *group.parts]
    return stack[0].text()


def _flat(group: _Group) -> list["str | _Group"]:
    """Return its parts; an operand that is joined in the same way dissolves into them."""
    word, parts = group.joined_by, list["str | _Group"]()
    for place, part in enumerate(group.parts):
        if (
            isinstance(part, _Group)
            and word is not None
            and part.joined_by == word
            and _is_operand(group.parts, place)
        ):
            parts += _flat(part)
        else:
            parts.append(part)
    return parts


def _is_operand(parts: list["str | _Group"], place: int) -> bool:
    """Say whether nothing but AND, OR or an end stands beside a part."""
    before = [part for part in parts[:place] if not _is_blank(part)][-1:]
    after = [part for part in parts[place + 1 :] if not _is_blank(part)][:1]
    return all(part in JOINING for part in (*before, *after))


def _is_blank(part: "str | _Group") -> bool:
    return isinstance(part, str) and not part.strip()
