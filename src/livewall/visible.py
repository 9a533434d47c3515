"""Text that others wrote, on a terminal: what could steer it is shown as the escape for it."""


def visible(text: str) -> str:
    r"""Return the text in one line: `\x1b` for what begins an order, `\n` for a line's end.

    Also what turns the direction of writing, or shows nothing. What is printable stays as it is.
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
