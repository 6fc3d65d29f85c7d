"""Everything that can go wrong, drawn as a tree; the HTTP status sits on the class.

ServiceError                  500  a fault of ours
├── BadInput                  422  the request cannot be answered as it is
│   ├── BrokenForm            400  a multipart body that cannot be parsed
│   ├── MissingFile           422  no picture in the request
│   ├── SeveralFiles          422  more pictures than the route takes
│   ├── EmptyImage            422  a picture of no bytes
│   ├── UnreadableImage       422  truncated or broken
│   ├── ImageTooSmall         422  fewer pixels than an answer can rest on
│   ├── ImageTooLarge         422  more pixels than the limit, told from the header
│   ├── SeveralFrames         422  an animation or a stack: which slice is meant?
│   ├── BlankImage            422  one grey level throughout
│   ├── NotOffered            422  a target, method, layer or colour map that is not there
│   └── SeveralOverlays       422  one PNG cannot show the maps of all classes
├── Unauthorized              401  no key, or none that counts here
├── Forbidden                 403  the key lacks the scope
├── SlowBody                  408  the body did not come in time
├── BodyTooLarge              413  more bytes than the limit
├── NotAnImage                415  magic bytes of none of the accepted formats
├── UnknownModel              404  no such model or version here
├── NotExplainable            409  the bundle has no explain.onnx
├── LoadFailed                409  what lies in the repository cannot serve; what served goes on
├── RateLimited               429  this client asks more often than it may
├── Unavailable               503  try again later, Retry-After says when
│   ├── Overloaded            503  the queue is full
│   ├── NoRoom                503  too many bytes are on their way already, or no memory is left for pixels
│   ├── NotReady              503  a model or a token's issuer is not there, or the service is going away
│   └── WorkerDied            503  the batch worker is gone
├── DeadlineExceeded          504  no answer in time
├── ClientGone                499  nobody is listening any more; never sent
└── InferenceFailed           500  the session raised, or answered with no numbers
"""

from typing import Self

from service.problem import ServiceError as ServiceError  # noqa: PLC0414 - the tree is imported from here


class BadInput(ServiceError):
    """The request cannot be answered as it is."""

    status = 422
    title = "The request cannot be answered as it is"


class MissingFile(BadInput):
    """No picture in the request."""

    title = "No picture in the request"


class BrokenForm(BadInput):
    """A multipart body that cannot be parsed."""

    status = 400
    title = "The multipart body is malformed"


class SeveralFiles(BadInput):
    """More pictures than the route takes."""

    title = "Too many pictures in the request"


class EmptyImage(BadInput):
    """A picture of no bytes."""

    title = "The picture is empty"


class UnreadableImage(BadInput):
    """Truncated or broken."""

    title = "The picture is truncated or broken"


class ImageTooSmall(BadInput):
    """Fewer pixels than an answer can rest on."""

    title = "The picture is too small"


class ImageTooLarge(BadInput):
    """More pixels than the limit, told from the header before anything is decoded."""

    title = "The picture has too many pixels"


class SeveralFrames(BadInput):
    """An animation or a stack of pages."""

    title = "The picture has several frames; send one slice"


class BlankImage(BadInput):
    """One grey level throughout."""

    title = "The picture is blank"


class NotOffered(BadInput):
    """A target, method, layer or colour map that is not there; `offered` lists what is."""

    title = "No such target, method, layer or colour map"


class SeveralOverlays(BadInput):
    """One PNG cannot show the maps of all classes."""

    title = "One picture cannot show the maps of all classes"


class Unauthorized(ServiceError):
    """No key, or none that counts here."""

    status = 401
    title = "A key is needed"


class Forbidden(ServiceError):
    """The key lacks the scope."""

    status = 403
    title = "The key does not allow this"


class SlowBody(ServiceError):
    """The body did not come in time."""

    status = 408
    title = "The body came too slowly"
    leaves_body_unread = True


class BodyTooLarge(ServiceError):
    """More bytes than the limit."""

    status = 413
    title = "The body is too large"
    leaves_body_unread = True


class NotAnImage(ServiceError):
    """Magic bytes of none of the accepted formats."""

    status = 415
    title = "Not a PNG, JPEG, BMP, TIFF or WebP picture"


class UnknownModel(ServiceError):
    """No such model or version here."""

    status = 404
    title = "No such model or version"


class NotExplainable(ServiceError):
    """The bundle has no `explain.onnx`; it predicts all the same."""

    status = 409
    title = "The model predicts but cannot explain"


class LoadFailed(ServiceError):
    """What lies in the repository cannot serve; what served before goes on."""

    status = 409
    title = "The version cannot be loaded"


class RateLimited(ServiceError):
    """This client asks more often than it may."""

    status = 429
    title = "Too many requests of this client"
    retry_after_seconds = 1


class Unavailable(ServiceError):
    """Try again later."""

    status = 503
    title = "The service cannot answer now"
    retry_after_seconds = 1


class Overloaded(Unavailable):
    """The queue is full."""

    title = "The queue is full"


class NoRoom(Unavailable):
    """Too many bytes are on their way already, or no memory is left for a picture's pixels."""

    title = "Too many uploads at once"


class NotReady(Unavailable):
    """The model is loading or failed to load, the token's issuer is away, or the service is going away."""

    title = "Not ready to answer"
    retry_after_seconds = 5


class WorkerDied(Unavailable):
    """The batch worker is gone."""

    title = "The model's worker has stopped"
    retry_after_seconds = 5


class DeadlineExceeded(ServiceError):
    """No answer in time."""

    status = 504
    title = "No answer within the deadline"

    @classmethod
    def within(cls, seconds: float, what: str = "no answer") -> Self:
        """Says `what` did not come to be in so many seconds; what came too late already had none."""
        return cls(f"{what} within {max(0, seconds) * 1000:.0f} ms")


class ClientGone(ServiceError):
    """Nobody is listening any more; the status is only logged."""

    status = 499
    title = "The client went away"


class InferenceFailed(ServiceError):
    """The session raised, or its answer holds no finite numbers."""

    title = "The model failed on this input"
