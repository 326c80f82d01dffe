"""Where the links of tracked e-mails lead past: `/t/{token}`, without a key.

Law: a token is signed, so it leads nowhere but where the e-mail's own link led. A look ahead (HEAD, a prefetch) counts
nothing; whoever follows a link gets there, whatever became of its message.
"""

from __future__ import annotations

import base64
import string
from urllib.parse import quote

from litestar import Response, get

from heliograph import errors
from heliograph.core import ids, links, reports
from heliograph.store import reports as stored
from heliograph.web.calls import Call, in_thread

TAG = "Messages"
_PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@get("/t/{token:str}", opt={"tag": TAG, "media": "image/gif", "leads_on": True})
@in_thread
def follow_link(request: Call) -> Response[bytes]:
    """Go on to where a link of an e-mail leads, or show its picture, and count the click or the open."""
    services = request.services
    said = links.read_visit(request.part("token"), services.link_secret())
    message_id = None if said is None else ids.parse(said.message_id)
    if said is None or message_id is None:
        raise errors.NotFound("this link is not whole: open it as it stands in the e-mail")
    if not _is_ahead(request):
        what = reports.What.OPENED if said.link is None else reports.What.CLICKED
        now = services.now()
        told = reports.Report(what, now, link=said.link, provider="heliograph")
        if stored.take_in(services.database, said.workspace_id, [(message_id, told)], now):
            request.wake()
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    if said.link is None:
        return Response(_PICTURE, media_type="image/gif", headers=headers)
    return Response(b"", status_code=302, headers={**headers, "location": _place(said.link)})


def _place(link: str) -> str:
    """An address as a header takes it, and as every browser reads what stands in a page."""
    whole = link.translate(dict.fromkeys(map(ord, "\t\r\n"))).strip()
    return quote(whole, safe=string.punctuation)


def _is_ahead(request: Call) -> bool:
    """Whether a program only looks."""
    purpose = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return request.is_head or "prefetch" in purpose


HANDLERS = (follow_link,)
