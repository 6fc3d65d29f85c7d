from pathlib import Path

from service.processes.front import share_of
from service.settings import Settings


def test_a_front_takes_its_share_of_the_cores_and_an_audit_file_of_its_own() -> None:
    shared = Settings(workers=3, decode_threads=8, audit=Path("kept/audit.jsonl"))
    shares = [share_of(shared, place) for place in range(3)]
    assert [each.decode_threads for each in shares] == [3, 3, 3]
    assert [str(each.audit) for each in shares] == [f"kept/audit-{place}.jsonl" for place in range(3)]
    assert share_of(Settings(workers=2, audit=Path("-")), 1).audit == Path("-")
