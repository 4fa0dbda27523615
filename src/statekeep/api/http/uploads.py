"""Uploads of code: multipart forms, read as they come and no further than their bound."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from statekeep.api.http.body import require_declared_size, stream_body
from statekeep.api.http.reply import Reply, answer_reply
from statekeep.application.code import is_gzipped, require_code_size
from statekeep.application.versions import Versions
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import UPLOAD_BYTES_MAX
from statekeep.ports.store import Upload

_FIELDS_MAX: Final = 50
"""Fields beside the file. Those that are sent are ours, and few."""


class UploadResponder:
    """Takes the code of a version that is about to be published."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def __call__(self, request: Request) -> Reply:
        ticket = await self._versions.admit_upload(request.path_params["token"])
        headers = dict(request.scope["headers"])
        require_declared_size(headers, bytes_max=UPLOAD_BYTES_MAX)
        form = await _read_form(request)
        try:
            upload = await _upload_in(form)
        finally:
            await form.close()
        require_code_size(upload.code, gzipped=upload.is_gzipped)
        await self._versions.accept_upload(ticket, upload)
        return answer_reply(204, None)


async def _read_form(request: Request) -> FormData:
    if "multipart/form-data" not in request.headers.get("content-type", "").lower():
        raise InvalidParameter("code is uploaded as multipart/form-data", parameter="content-type")
    stream: AsyncGenerator[bytes, None] = stream_body(request.receive, bytes_max=UPLOAD_BYTES_MAX)
    parser = MultiPartParser(request.headers, stream, max_files=1, max_fields=_FIELDS_MAX)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise InvalidParameter(f"the form can not be read: {error.message}") from error


async def _upload_in(form: FormData) -> Upload:
    file = form.get("file")
    if file is None:
        raise InvalidParameter("the form has no part named file", parameter="file")
    code = await file.read() if isinstance(file, UploadFile) else file.encode()
    # Some clients forget to say that their code is gzipped; it shows.
    says_gzip = form.get("content-encoding") == "gzip"
    return Upload(code, says_gzip or is_gzipped(code))
