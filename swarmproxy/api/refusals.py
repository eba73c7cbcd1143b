"""What becomes of the errors that our own routes raise."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from swarmproxy.api.dispatch import log_refusal
from swarmproxy.api.errors import PAGE_NOT_FOUND
from swarmproxy.api.requests import error_reply
from swarmproxy.errors import BadRequest, SwarmError


def answer_errors(app: FastAPI) -> None:
    """Have `app` answer each error in Docker's form."""
    app.add_exception_handler(SwarmError, _refuse)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(RequestValidationError, _not_understood)


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, SwarmError):
        raise error
    log_refusal(request.scope, error)
    return error_reply(error)


async def _no_such_page(_request: Request, error: Exception) -> Response:
    """Answer an unknown route, or a method that it has not, as a daemon does."""
    if isinstance(error, HTTPException) and error.status_code not in (404, 405):
        return error_reply(SwarmError(error.detail))
    return error_reply(PAGE_NOT_FOUND)


async def _not_understood(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = (f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return await _refuse(request, BadRequest("; ".join(problems)))
