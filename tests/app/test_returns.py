"""What comes back, in a whole service: what happens when a part of it cannot be had, and at the end."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from pathlib import Path
from typing import Any

from app.conftest import Logs
from app.live import command, run, serving, until
from app.test_intake import NOT_OURS, bounce, returned
from app.test_watching import lines, metric
from penstock.app import Service, figures
from rig.base import free_port
from support import ALICE

REPORTS = "reports@mx.example.com"


def config(listen: str, log: Path | None = None) -> str:
    followed = f'[logs.mail]\nfile = "{log}"\nfrom_beginning = true\ntime_zone = "UTC"\n' if log else ""
    return f'[reports]\nlisten = {listen}\nrecipients = "{REPORTS}"\nheader = true\n{followed}'


async def deliver(port: int, *contents: str) -> None:
    """Bring mails by LMTP."""

    def session() -> None:
        with smtplib.LMTP("127.0.0.1", port) as client:
            for content in contents:
                client.sendmail("", [REPORTS], content.encode())

    await asyncio.to_thread(session)


def told(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = figures.status(service)["reports"]
    return found


def test_reports_are_counted_kept_and_told_of(folder: Path, logs: Logs) -> None:
    port, log = free_port(), folder / "mail.log"
    log.write_text("".join(f"{line}\n" for line in lines(n=3)))

    async def story() -> None:
        async with serving(folder, config(f'"127.0.0.1:{port}"', log)) as service:
            await until(lambda: service.logs[0].follower.lines)
            ours = bounce(about=returned("4Xy1QZ0bcdz2Gh@example.com"))
            await deliver(
                port, ours, ours, bounce(about=returned("strange@example.net")), "Subject: hi\n\nhello\n"
            )
            await until(lambda: told(service)["kept"] == 2 and told(service)["repeated"] == 1)
            kept = folder / "state/reports/kept"
            assert told(service) == {
                "received": 4, "kept": 2, "refused": 0, "bounces": 1, "complaints": 0, "repeated": 1,
                "uncounted": 0, "folder": str(kept.parent),
            }  # fmt: skip
            assert metric(service, "reports") == {
                ("received",): 4, ("kept",): 2, ("refused",): 0, ("bounces",): 1, ("complaints",): 0,
                ("repeated",): 1, ("uncounted",): 0,
            }  # fmt: skip
            reasons = {path.read_text().strip() for path in kept.glob("*.reason")}
            assert reasons == {NOT_OURS, "not understood as a bounce or a complaint"}
            week = (await command(folder, "show", sender=ALICE))["week"]
            assert week[-1]["classes"] == {"unknown-user": 2}, "one by the log, one by the report"

    run(story())


def test_a_port_that_is_taken_costs_that_port_and_is_a_problem(folder: Path, logs: Logs) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"

        async def story() -> None:
            async with serving(folder, config(f'["{taken}", "127.0.0.1:{port}"]')) as service:
                [problem] = figures.degraded(service)
                assert problem.startswith(f"no reports are taken on {taken}: ") and "in use" in problem
                assert metric(service, "degraded")[("reports",)] == 1
                await deliver(port, bounce())
                await until(lambda: told(service)["kept"] == 1)

        run(story())


def test_a_socket_that_somebody_else_listens_on_stays_his(folder: Path, logs: Logs) -> None:
    path = folder / "reports.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        async def story() -> None:
            async with serving(folder, config(f'"unix:{path}"')) as service:
                assert "somebody else is listening there" in figures.degraded(service)[0]

        run(story())
        assert path.exists()


def test_its_own_socket_is_removed_even_if_the_policy_file_has_changed(folder: Path) -> None:
    path = folder / "reports.sock"

    async def story() -> None:
        async with serving(folder, config(f'"unix:{path}"')) as service:
            (folder / "penstock.toml").write_text('mode = "shadow"\n')
            assert await service.reload("test") == []
            assert path.exists() and not figures.degraded(service)

    run(story())
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_a_problem_and_the_gate_goes_on(folder: Path, logs: Logs) -> None:
    (folder / "state").mkdir()
    (folder / "state/reports").write_text("in the way")

    async def story() -> None:
        async with serving(folder, config(f'"127.0.0.1:{free_port()}"')) as service:
            assert service.serving
            [problem] = figures.degraded(service)
            assert problem.startswith("no reports are taken: ")
            assert told(service) is None

    run(story())


def test_what_was_taken_before_the_end_is_counted_in_the_next_run(folder: Path, logs: Logs) -> None:
    """Lines that were read are in the counts, the rest is read later: each once."""
    port, log = free_port(), folder / "mail.log"
    whole = lines(n=3)
    log.write_text("".join(f"{line}\n" for line in whole[:5]))

    async def first() -> None:
        async with serving(folder, config(f'"127.0.0.1:{port}"', log)) as service:
            await until(lambda: service.logs[0].follower.lines == 5)

    async def second() -> None:
        async with serving(folder, config(f'"127.0.0.1:{port}"', log)) as service:
            await until(lambda: service.logs[0].follower.lines == len(whole) - 5)
            week = (await command(folder, "show", sender=ALICE))["week"]
            assert (week[-1]["delivered"], week[-1]["bounced"]) == (2, 1)

    run(first())
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in whole[5:]))
    run(second())
