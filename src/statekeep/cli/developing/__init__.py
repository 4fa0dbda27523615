"""`statekeep dev`: machines that follow their files.

`session.py` is the whole of it and runs beside the server: it watches what the machines are made of (`watching.py`), builds and publishes what was saved
(`workshop.py`), has instances carried over (`moving.py`) and tells the terminal (`telling.py`). It speaks the public API, as anybody would.
"""
