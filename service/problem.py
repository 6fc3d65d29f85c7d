"""The root of all that can go wrong; the tree is drawn in `errors.py`, from where all of it is imported."""

import re

from pydantic import ValidationError


class ServiceError(Exception):
    """Root of the tree; `str(error)` is the sentence that the caller reads, so it holds no path and no trace."""

    status = 500
    title = "The service failed"
    retry_after_seconds: int | None = None
    leaves_body_unread = False
    """Whether the connection cannot be used again, since the rest of the body is not waited for."""

    def __init__(self, detail: str = "", **extensions: object) -> None:
        super().__init__(detail or self.title)
        self.extensions = extensions

    @property
    def slug(self) -> str:
        """The class name as the problem's name: `ImageTooLarge` → `image-too-large`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to the problem (RFC 9110 §10.2.3, §11.6.1)."""
        seconds = self.extensions.get("retry_after_seconds", self.retry_after_seconds)
        retry = {"Retry-After": str(seconds)} if seconds else {}
        challenge = {"WWW-Authenticate": 'Bearer realm="neurotriage"'} if self.status == 401 else {}
        return retry | challenge | ({"Connection": "close"} if self.leaves_body_unread else {})


def in_one_line(error: ValidationError) -> str:
    """What pydantic found, without the values that it was given: each fault's place and words."""
    faults = [(".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors()]
    return "; ".join(f"{place}: {words}" if place else words for place, words in faults)
