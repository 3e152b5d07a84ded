"""May I? Whoever holds a token of this server may do everything, so the answer is yes."""

from typing import Final

import orjson

from nestling.apiserver import protobuf
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.refusal import bad_request

PATH: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def answer(request: Request) -> Response:
    """Allow what is asked about. Raises Refusal for a body that is no review."""
    try:
        binary = request.content_type == protobuf.CONTENT_TYPE
        review = protobuf.decode(request.body) if binary else orjson.loads(request.body)
    except ValueError as error:
        raise bad_request(str(error)) from error
    if not isinstance(review, dict) or not isinstance(review.get("spec"), dict):
        raise bad_request("a SelfSubjectAccessReview needs a spec")
    return Response.of({**review, "status": {"allowed": True}}, 201)
