"""From what a door hears to a Question: the bare word of `query oms runs 297050` gets its name."""

from collections.abc import Mapping, Sequence

from adapters.base import BackendKind
from adapters.reading import Misasked, Question

SUBJECT = "subject"


def question_of(
    kinds: Mapping[str, BackendKind],
    backend: str,
    resource: str,
    given: Sequence[tuple[str, str]],
) -> Question:
    """The question; which parameter the bare word is depends on the resource. Raises Misasked."""
    kind = kinds.get(backend)
    if kind is None or not any(name == SUBJECT for name, _ in given):
        return Question(resource, tuple(given))
    path = resource.strip("/")
    about = kind.resources.get(path) or kind.resources.get(path.partition("/")[0])
    name = about.subject if about is not None else None
    if name is None:
        said = f"{resource} takes no bare word: write it as --NAME VALUE"
        raise Misasked(said, parameter=SUBJECT)
    return Question(
        resource, tuple((name if one == SUBJECT else one, value) for one, value in given)
    )
