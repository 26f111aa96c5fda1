"""The PostgreSQL server of one home: its files, account, programs, settings and processes.

`db.embedded` puts the parts together; nothing else should need them.
"""
