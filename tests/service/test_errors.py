import service.errors
from service.errors import ServiceError


def tree(kind: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def test_the_drawing_shows_every_error_with_its_status() -> None:
    drawing = (service.errors.__doc__ or "").splitlines()
    drawn = {line.strip("│├└─ ").split()[0]: line.split() for line in drawing if "  " in line}
    for kind in tree():
        assert str(kind.status) in drawn[kind.__name__], kind.__name__
    assert len(drawn) == len(tree())


def test_every_error_has_a_name_and_a_title_of_its_own() -> None:
    kinds = tree()
    assert len({kind().slug for kind in kinds}) == len({kind.title for kind in kinds}) == len(kinds)


def test_what_may_be_tried_again_says_when() -> None:
    assert [kind for kind in tree() if kind.status == 503 and "Retry-After" not in kind().headers] == []
