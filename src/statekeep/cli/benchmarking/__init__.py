"""`statekeep bench`: the load of many clients on a server, and what it answers how soon.

`workload.py` says what is sent, `generator.py` sends it from a process of its own (`generating.py` starts that), `machine.py` has the machine that
it is sent to for as long as it lasts, `own_server.py` a server where none runs, and `report.py` shows what came of it.
"""
