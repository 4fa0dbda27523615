"""Documents are tests too: what stands in README.md and docs/ is run as tests/support/snippets.py says."""

from sybil import Sybil

from tests.support.snippets import Page, SnippetParser

pytest_collect_file = Sybil(
    parsers=[SnippetParser()],
    patterns=["README.md", "docs/*.md"],
    # Written and run with the plugin that it is about.
    excludes=["docs/testing.md"],
    setup=lambda namespace: namespace.update(page=Page()),
    teardown=lambda namespace: namespace["page"].close(),
).pytest()
