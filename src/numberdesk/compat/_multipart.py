"""Forms of `multipart/form-data`, as the curl of PHP sends them when it is given an array."""

import re
from collections.abc import Iterator

_BOUNDARY = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'(?<![a-z*])name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_FILE = re.compile(rb"filename\*?\s*=", re.IGNORECASE)
_KIND = re.compile(rb"^content-disposition:\s*form-data\b([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
BREAK, BLANK = b"\r\n", b"\r\n\r\n"


class BadForm(ValueError):
    """A form without its marks, or one that was cut: what is missing may be what its sender minds most."""


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the fields of a form.

    Raises:
        BadForm: it is not told.
    """
    found = _BOUNDARY.search(content_type.encode("latin-1"))
    if found is None:
        raise BadForm
    return found[1] or found[2]


def fields(body: bytes, boundary: bytes, *, fields_max: int) -> Iterator[tuple[str, str]]:
    """Give the names and values of a form, in its order. Files are left out: no parameter is one.

    Raises:
        BadForm: a mark is missing, or there are more fields than any form has.
    """
    mark = b"--" + boundary
    _before, *parts = (BREAK + body).split(BREAK + mark, fields_max + 2)
    if not parts or not parts[-1].startswith(b"--") or len(parts) > fields_max + 1:
        raise BadForm
    for part in parts[:-1]:
        head, blank, value = part.partition(BLANK)
        if not blank or not head.lstrip(b" \t").startswith(BREAK):
            raise BadForm
        kind = _KIND.search(head)
        name = None if kind is None else _NAME.search(kind[1])
        if kind is None or name is None:
            raise BadForm
        if _FILE.search(kind[1]) is None:
            yield _text(name[1] if name[1] is not None else name[2]), _text(value)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
