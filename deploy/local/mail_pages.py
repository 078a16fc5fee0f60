"""The mailbox as pages: `/dev/mail`, `/dev/mail.json`, `/dev/mail/<key>` and its attachments."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.mail_store import MailStore, Message

BASE = "/dev/mail"


def create_app(store: MailStore) -> Starlette:
    """The mailbox as an ASGI application. Handlers are plain functions: they read files, in threads."""

    def find(request: Request) -> Message:
        message = store.get(request.path_params["key"])
        if message is None:
            raise HTTPException(404, "no such message")
        return message

    def as_list(request: Request) -> Response:
        messages = store.newest_first(request.query_params.get("to"))
        return JSONResponse([describe(message) for message in messages])

    def as_page(request: Request) -> Response:
        return HTMLResponse(list_page(list(store.newest_first(request.query_params.get("to")))))

    def one(request: Request) -> Response:
        return HTMLResponse(message_page(find(request)))

    def html_body(request: Request) -> Response:
        # The message's own HTML is somebody else's: no script, no form, no request to anywhere.
        policy = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        }
        return HTMLResponse(find(request).html, headers=policy)

    def source(request: Request) -> Response:
        return PlainTextResponse(find(request).source.decode(errors="replace"))

    def attachment(request: Request) -> Response:
        attachments = find(request).attachments
        number = request.path_params["number"]
        if number >= len(attachments):
            raise HTTPException(404, "no such attachment")
        file = attachments[number]
        disposition = f"attachment; filename*=UTF-8''{quote(file.filename)}"
        return Response(
            file.content, media_type=file.content_type, headers={"Content-Disposition": disposition}
        )

    def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route(BASE, as_page),
            Route(f"{BASE}.json", as_list),
            Route(f"{BASE}/{{key}}", one),
            Route(f"{BASE}/{{key}}/html", html_body),
            Route(f"{BASE}/{{key}}/source", source),
            Route(f"{BASE}/{{key}}/attachments/{{number:int}}", attachment),
            Route("/health/ready", alive),
        ]
    )


def describe(message: Message) -> dict[str, object]:
    """A message for programs."""
    return {
        "id": message.key,
        "from": message.sender,
        "to": message.to,
        "subject": message.subject,
        "messageId": message.message_id,
        "date": message.date,
        "text": message.text,
        "html": message.html,
        "url": f"{BASE}/{quote(message.key)}",
        "attachments": [
            {
                "filename": file.filename,
                "contentType": file.content_type,
                "bytes": len(file.content),
                "url": attachment_url(message, number),
            }
            for number, file in enumerate(message.attachments)
        ],
    }


def attachment_url(message: Message, number: int) -> str:
    """Where an attachment is served."""
    return f"{BASE}/{quote(message.key)}/attachments/{number}"


def list_page(messages: list[Message]) -> str:
    """All messages, newest first."""
    rows = "".join(
        f"<tr><td>{escape(m.date)}</td><td>{escape(m.to)}</td>"
        f'<td><a href="{BASE}/{quote(m.key)}">{escape(m.subject or "(sans objet)")}</a></td></tr>'
        for m in messages
    )
    table = (
        '<table><caption class="hidden">Messages reçus</caption><thead><tr><th scope="col">Date</th>'
        f'<th scope="col">À</th><th scope="col">Objet</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    empty = '<p>Aucun message pour l\'instant. <span lang="en">No message yet.</span></p>'
    return _page("Boîte aux lettres de développement", table if messages else empty)


def message_page(message: Message) -> str:
    """One message with its attachments."""
    facts = {"De": message.sender, "À": message.to, "Date": message.date, "Message-ID": message.message_id}
    header = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    files = "".join(
        f'<li><a href="{attachment_url(message, number)}">{escape(file.filename)}</a> '
        f"({escape(file.content_type)}, {len(file.content)} octets)</li>"
        for number, file in enumerate(message.attachments)
    )
    own = f"{BASE}/{quote(message.key)}"
    list_of_files = f"<h2>Pièces jointes</h2><ul>{files}</ul>" if files else ""
    html = f'<iframe title="Message mis en forme" sandbox src="{own}/html"></iframe>' if message.html else ""
    return _page(
        message.subject or "(sans objet)",
        f'<p><a href="{BASE}">Tous les messages</a> · <a href="{own}/source">Source</a></p><dl>{header}</dl>'
        f"<pre>{escape(message.text)}</pre>{html}{list_of_files}",
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="fr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} – Créneau</title><link rel="stylesheet" href="/style.css"></head>'
        f'<body><main id="main"><h1>{escape(title)}</h1>{body}</main></body></html>'
    )
