"""Endpoints of machines (SPEC 9): plain HTTP whose meaning is the author's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from statekeep.client.models import HttpAnswer
from statekeep.client.noun import Noun, Shell, operation
from statekeep.client.steps import Answer, Request, Steps

HTTP_API: Final = "/http-api/{organization}/machines/{machine}/{slug}"


class HttpApi(Noun[Shell]):
    """Endpoints of machines. No token is sent along: the author's handler decides who may."""

    @operation
    def request(
        self,
        method: str,
        org_id: str,
        machine_name: str,
        slug: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Steps[HttpAnswer]:
        """What the endpoint answers, whatever the status.

        The body is `content`, or an object as `json`. With a header `idempotency-key` the event is delivered once, and the request
        repeated where its answer is lost.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        answer: Answer = yield Request(
            method.upper(),
            HTTP_API,
            {"organization": org_id, "machine": machine_name, "slug": slug},
            query or {},
            body=json,
            content=content,
            headers=given,
            is_authorized=False,
            is_any_status_welcome=True,
            is_repeatable="idempotency-key" in given,
        )
        return HttpAnswer(answer.status, dict(answer.headers), answer.body)
