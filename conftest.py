"""Documents are tests too: what stands in README.md and docs/ is run as tests/support/snippets.py says."""

from sybil import Sybil

from tests.support.snippets import Page, SnippetParser

pytest_collect_file = Sybil(
    parsers=[SnippetParser()],
    patterns=["README.md", "docs/*.md"],
    # The first is generated from the commands, which have tests of their own; the second is about a plugin that its test uses.
    excludes=["docs/cli.md", "docs/testing.md"],
    setup=lambda namespace: namespace.update(page=Page()),
    teardown=lambda namespace: namespace["page"].close(),
).pytest()
