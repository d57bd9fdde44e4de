"""What a Chinese message of a check must be."""

import re

from course_tools.author.translation import HAN


def english_left(said: str) -> list[str]:
    """Three English words in a row, outside code, brackets and quotation marks."""
    quoted = r"`[^`]*`|\"[^\"]*\"|“[^”]*”|'[^']*'|\([^()]*\)|\w+ = .*"
    return re.findall(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub(quoted, " ", said))


def is_chinese(said: str) -> bool:
    """Whether there is Chinese in a message, and no English in its first line; code may follow."""
    return bool(re.search(HAN, said)) and not english_left(said.partition("\n")[0])
