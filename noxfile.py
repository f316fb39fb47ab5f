"""The tests on every supported Python: `nox`, or `nox -s tests-3.12` for one."""

from __future__ import annotations

import nox

nox.options.sessions = ["tests"]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    # pip reads dependency groups from version 25.1 on.
    session.install("--upgrade", "pip>=25.1")
    session.install("--editable", ".", "--group", "test")
    session.run("pytest", "-n", "auto", *session.posargs)
