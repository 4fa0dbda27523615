"""How long a new user waits from `pip install` to a live subscription: the lines of README.md, typed into two terminals.

    python -m benchmarks.first_minutes [--offline] [--json]

In a clone of what is committed, with an empty home folder: everything is downloaded and built as on a new machine, from where pip and Deno are told here
to get it. `--offline` takes what this checkout has instead, as the test does. Seconds for each line, until there is to be seen what it was typed for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tests.support.first_minutes import (
    PAGES,
    first_minutes_of,
    offline,
    online,
    type_lines,
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--offline", action="store_true")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = (offline if options.offline else online)(Path(folder))
        typed = type_lines(first_minutes_of(PAGES[0]), place)
    total = sum(one.seconds for one in typed)
    if options.json:
        print(json.dumps({"lines": [one._asdict() for one in typed], "seconds": total}, indent=2))
        return
    for line, seconds in typed:
        print(f"{seconds:6.1f} s  {line}")
    print(f"{total:6.1f} s  {len(typed)} lines")


if __name__ == "__main__":
    main()
