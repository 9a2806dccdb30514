"""The pages that links in mails lead to. Opening one uses nothing up, so scanners of mails may; its button does.

The token stands behind the # of the link. Only the page's script reads it, and sends it in the body of a call.
"""

from pathlib import Path

from litestar import Response, get

from numberdesk.base.web import ACCESS, UNCOUNTED

FILES = Path(__file__).parent / "static" / "mail"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
"""Forms are sent by the script only: the browser itself would put a password into an address."""
KEPT = {"cache-control": "public, max-age=3600"}
_OPT = {ACCESS: UNCOUNTED}
_ASK = """<label for="email">Your e-mail address</label>
<input id="email" name="email" type="email" autocomplete="email" maxlength="320" required>"""


def _page(title: str, *, with_link: str, without_link: str, without_script: str) -> str:
    """Lay out a page: the form for whoever has a token, and the one for whoever needs a new mail."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} · Numberdesk</title>
<link rel="stylesheet" href="/mail/page.css">
<script src="/mail/mail.js" defer></script>
</head>
<body>
<main>
<h1>{title}</h1>
{with_link}
{without_link}
<p id="status" role="status" aria-live="polite"></p>
<noscript><p>{without_script}</p></noscript>
</main>
</body>
</html>
"""


_VERIFY = _page(
    "Confirm your address",
    with_link="""<form id="by-token" data-post="/auth/verify-email"
 data-done="Your address is confirmed. You can close this page and log in." hidden>
<p>You signed up with this address. One step is left.</p>
<button>Confirm my address</button>
</form>""",
    without_link=f"""<form id="by-address" data-post="/auth/send-verification-email"
 data-done="If this address waits for its confirmation, a new mail is on its way." hidden>
<p>Open this page by the link in your mail. If the link does not work any more, ask for another.</p>
{_ASK}
<button>Send me another mail</button>
</form>""",
    without_script="This page needs JavaScript. Without it, use the six digits of the mail where you signed up.",
)
_RESET = _page(
    "Choose a new password",
    with_link="""<form id="by-token" data-post="/auth/reset-password"
 data-done="Your new password is set, and every device is logged out. You can close this page and log in." hidden>
<label for="new-password">New password</label>
<input id="new-password" name="newPassword" type="password" autocomplete="new-password" required>
<label for="again">New password, again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required>
<button>Set my new password</button>
</form>""",
    without_link=f"""<form id="by-address" data-post="/auth/forgot-password"
 data-done="If there is an account with this address, a mail with a link is on its way." hidden>
<p>We send you a link by which you choose a new password.</p>
{_ASK}
<button>Send me a link</button>
</form>""",
    without_script="This page needs JavaScript, since your link must not reach a log. Open it in another browser. "
    "If you only want to confirm your address, use the six digits of the mail where you signed up.",
)
_FILES = {name: (FILES / name).read_bytes() for name in ("page.css", "mail.js")}


def _shown(page: str) -> Response[str]:
    return Response(page, media_type="text/html", headers={"content-security-policy": POLICY})


@get("/verify-email", include_in_schema=False, opt=_OPT)
async def verify_email() -> Response[str]:
    """Show the button that confirms an address."""
    return _shown(_VERIFY)


@get("/reset-password", include_in_schema=False, opt=_OPT)
async def reset_password() -> Response[str]:
    """Show the form for a new password, or the one that asks for a link."""
    return _shown(_RESET)


@get("/mail/page.css", include_in_schema=False, opt=_OPT)
async def style() -> Response[bytes]:
    """Serve the style of both pages."""
    return Response(_FILES["page.css"], media_type="text/css", headers=KEPT)


@get("/mail/mail.js", include_in_schema=False, opt=_OPT)
async def script() -> Response[bytes]:
    """Serve the script of both pages."""
    return Response(_FILES["mail.js"], media_type="text/javascript", headers=KEPT)


HANDLERS = (verify_email, reset_password, style, script)
