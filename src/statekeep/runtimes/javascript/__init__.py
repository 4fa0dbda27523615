"""Hosts for JavaScript: Deno with the host program and both majors of XState, bundled when the package is built."""
