"""Text that every database of ours keeps as it is, and what may be an id."""

ID = r"[A-Za-z0-9_.-]{1,100}"
"""What an account or store may be called: it stands in file names, tags and partition keys."""


def is_storable(text: str) -> bool:
    """Whether the text can be stored: PostgreSQL takes no NUL, UTF-8 no half of a pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    r"""The text with NUL left out, halves of a surrogate pair joined, and single ones replaced.

    Sources cut texts by UTF-16 units and escape what is left, so that halves do arrive.

    >>> storable("a\0b \ud83c\udf81 \ud83c")
    'ab 🎁 \ufffd'
    """
    if is_storable(text):
        return text
    units = text.replace("\0", "").encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace")
