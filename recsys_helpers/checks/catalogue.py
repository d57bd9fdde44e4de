"""gettext catalogues of the Chinese course, as the checks and the Chinese notebooks read them."""

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

LANGUAGE = "zh_CN"
LOCALE = ROOT / "docs" / "locale" / LANGUAGE / "LC_MESSAGES"


def empty_catalogue(**settings) -> Catalog:
    """A catalogue without messages."""
    names = {"project": "recsys-course", "version": "1", "last_translator": "", "language_team": LANGUAGE}
    header = "# The course in Chinese. A message is a text cell; its context says of which notebook."
    return Catalog(LANGUAGE, **names, msgid_bugs_address="", header_comment=header, fuzzy=False, **settings)


def read_catalogue(name: str) -> Catalog:
    """A catalogue, empty where there is none yet; CourseError if the file cannot be read."""
    path = LOCALE / f"{name}.po"
    if not path.exists():
        return empty_catalogue()
    try:
        with path.open("rb") as file:
            return read_po(file, locale=LANGUAGE, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise CourseError(f"{path} is no catalogue ({error}); git checkout {path.name} restores it") from error


def lookup(catalogue: Catalog, context: str, english: str) -> str | None:
    """The translation of a text, or None where there is no current one."""
    message = catalogue.get(english, context)
    return message.string if message and message.string and not message.fuzzy else None
