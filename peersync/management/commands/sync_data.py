from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from peersync import delivery
from peersync.conf import require_sound
from peersync.errors import ConfigurationError, PeersyncError
from peersync.management import arguments, output
from peersync.management.choosing import Chosen, choose
from peersync.management.transfers import Session, Work
from peersync.syncing import Options

if TYPE_CHECKING:
    from peersync.syncing import TransferReport


class Command(BaseCommand):
    help = "Synchronise this node with another one: a peer over HTTP, or the database behind an alias."
    requires_system_checks: list[str] = []  # our own are looked at in handle(), and told in JSON too

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.json, self.bar = options["json"], output.Bar(on=not options["json"])
        try:
            arguments.check(options)
            require_sound()
            chosen = choose(options)
            session = self._session(options)
            if options["watch"]:
                self._watch(options, chosen, session)
                return
            with delivery.paused():
                if options["mirror"] and not options["dry_run"] and not options["noinput"]:
                    self._ask(session, chosen)
                work = session.run(chosen)
        except CommandError as error:
            if self.json:
                self.stdout.write(output.dumps(Work(error=arguments.WrongArguments(str(error))).as_dict()))
            raise
        except PeersyncError as error:
            work = Work(error=error)
            if isinstance(error, ConfigurationError):
                self._end(work, arguments.WRONG_ARGUMENTS)
        self._end(work, work.exit_status)

    def _session(self, options: dict[str, Any]) -> Session:
        wanted = Options(
            models=arguments.labels(options["models"]),
            batch_size=options["batch_size"],
            mirror=options["mirror"],
            accept_conflicts=options["accept_conflicts"],
            dry_run=options["dry_run"],
            repair=options["repair"],
            retry=options["retry"],
            match=options["match"],
            progress=self.bar,
        )
        return Session(options["direction"], wanted, verify=options["verify"], shown=self._show, warn=self._warn)

    def _warn(self, text: str) -> None:
        self.bar.clear()
        self.stderr.write(f"Warning: {text}")

    def _show(self, report: TransferReport) -> None:
        self.bar.clear()
        for warning in report.warnings:
            self._warn(warning)
        if not self.json:
            self.stdout.write("\n".join(output.report_lines(report)))

    def _ask(self, session: Session, chosen: list[Chosen]) -> None:
        count = session.to_delete(chosen)
        self.bar.clear()
        names = ", ".join(one.name for one in chosen) if session.steps == ("push",) else "this node"
        self.stdout.write(f"--mirror will delete {count:,} {'row' if count == 1 else 'rows'} at {names}.")
        if not count:
            return
        try:
            answer = input("Go on? [y/N] ")
        except EOFError:
            raise arguments.wrong("Nobody is there to answer; say --noinput to delete without asking.") from None
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.", returncode=1)

    def _watch(self, options: dict[str, Any], chosen: list[Chosen], session: Session) -> None:
        from peersync.delivery.rounds import Job
        from peersync.delivery.watch import watch

        jobs = [
            Job(
                one.target,
                push="push" in session.steps,
                pull="pull" in session.steps,
                options=session.options,
                replica=one.replica,
                report=self._seen,
            )
            for one in chosen
        ]
        if not self.json:
            self.stdout.write(f"Watching {', '.join(one.name for one in chosen)}; Ctrl-C ends it.")
        with delivery.paused():
            watch(jobs)

    def _seen(self, report: TransferReport) -> None:
        """With --json one object per line, for each transfer that moved something."""
        moved = any(
            figures.created or figures.updated or figures.deleted or figures.conflicts
            for figures in report.models.values()
        )
        if not moved:
            return
        work = Work()
        work.add(report)
        if self.json:
            self.stdout.write(output.dumps(work.as_dict()))
        else:
            self._show(report)

    def _end(self, work: Work, status: int) -> None:
        self.bar.clear()
        if self.json:
            self.stdout.write(output.dumps(work.as_dict()))
        elif work.differences is not None:
            self.stdout.write("\n".join(output.difference_lines(work.differences)))
        if status:
            raise CommandError(self._reason(work), returncode=status)

    @staticmethod
    def _reason(work: Work) -> str:
        if work.error:
            names = f"{', '.join(dict.fromkeys(work.failed))}: " if work.failed else ""
            return f"{names}{str(work.error).removeprefix(names)}"
        if work.stopped:
            return " ".join(f"{label} was left as it is: {why}" for label, why in work.stopped.items())
        if work.differs:
            return "Both sides differ. --repair mends it."
        return "Some rows could not be written and wait in quarantine; manage.py sync_status lists them."
