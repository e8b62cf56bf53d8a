"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

python -m tests.fuzz.guided spool-raw CORPUS_FOLDER -max_total_time=60
"""

import sys

import atheris

with atheris.instrument_imports(include=["agent", "adapters", "config", "storage"]):
    from tests.fuzz import targets


def main() -> None:
    name, *arguments = sys.argv[1:]
    target = targets.make(name)
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
