"""The page that shows the API to people: Swagger UI, served from our own files under a strict policy."""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from numberdesk.base import compress
from numberdesk.base.web import ACCESS, UNCOUNTED
from numberdesk.console._description import completed
from numberdesk.console._mail_pages import HANDLERS

VENDOR = Path(__file__).parent / "static" / "vendor"
SWAGGER = "swagger-ui-5.35.0"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Styles may be inline because Swagger UI sets them on its elements; scripts may not."""
PAGE = {ACCESS: UNCOUNTED}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_PACKED = ".gz"
"""The framework adds the character set to those that are text."""
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Numberdesk API</title>
<link rel="stylesheet" href="/docs/{SWAGGER}/swagger-ui.css">
<link rel="icon" href="/docs/{SWAGGER}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/{SWAGGER}/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """
window.onload = () => SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false,
});
"""


@get("/docs", include_in_schema=False, opt=PAGE)
async def docs() -> Response[str]:
    """Show the page."""
    return Response(_PAGE, media_type="text/html", headers={"content-security-policy": POLICY})


@get("/docs/start.js", include_in_schema=False, opt=PAGE)
async def start() -> Response[str]:
    """Start Swagger UI; a file of its own, since the policy allows no inline script."""
    return Response(_START, media_type=_TYPES[".js"])


@get("/docs/{folder:str}/{name:str}", include_in_schema=False, opt={compress.AS_IT_IS: True, **PAGE})
async def asset(request: Request[Any, Any, Any], folder: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Serve one vendored file; only names that were found when the program started.

    Texts are packed once for each encoding: two megabytes at each visit would hold up all other callers.
    """
    path = _ASSETS.get((folder, name))
    if path is None:
        raise NotFoundException
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    encoding = None
    if path.suffix == _PACKED:
        headers["vary"] = "Accept-Encoding"
        encoding = compress.preferred(request.headers.get("accept-encoding", ""))
        if encoding is not None:
            headers["content-encoding"] = encoding
    return Response(_body(path, encoding), media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _body(path: Path, encoding: str | None) -> bytes:
    stored = path.read_bytes()
    if path.suffix != _PACKED or encoding == "gzip":
        return stored
    plain = gzip.decompress(stored)
    return plain if encoding is None else compress.pack(plain, encoding)


@get("/openapi.json", include_in_schema=False, opt=PAGE)
async def schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Describe the API for programs."""
    return Response(_description(request.app), media_type="application/json")


@cache
def _description(app: Litestar) -> bytes:
    return msgspec.json.encode(completed(app.openapi_schema.to_schema()))


_ASSETS = {
    (path.parent.name, name): path
    for path in VENDOR.glob("*/*")
    if Path(name := path.name.removesuffix(_PACKED)).suffix in _TYPES
}

router = Router(path="/", route_handlers=[docs, start, asset, schema, *HANDLERS])
