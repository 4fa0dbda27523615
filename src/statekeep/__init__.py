"""Statekeep: durable state machines, self-hosted.

Nothing is imported here, so that a part of the package can be used without paying for the rest.
"""


def __getattr__(name: str) -> str:
    # Looked up where it is asked for (PEP 562): reading metadata takes longer than most commands need to start.
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
