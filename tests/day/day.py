#!/usr/bin/env python3
"""A data scientist's day against the real programs, on real data.

    python3 tests/day/day.py --program target/release/binnacle
    python3 tests/day/day.py --program target/release/binnacle --store postgres://me@db/second

Two data-set versions are registered (CSV made here of the demo's rows, Parquet from this folder),
a feature set, and three versions of a model with their real files and figures; an alias is moved
twice, the past is asked about, versions and profiles are compared, two people edit one card, the
registry is taken over by a second hub, which is empty and whose store is --store, and one bit of a
stored file is flipped. Each step says what it found; the first that finds something else ends the day with 1.
Python's own library is all that it needs. Where the data comes from: README.md.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "console" / "demo" / "models"
ROWS = json.loads((MODELS / "tumour" / "rows.json").read_text())
# The first data set: what was measured by noon.
BY_NOON = 100


class Failed(Exception):
    """A step that found something else than it should."""


def check(holds, what):
    if not holds:
        raise Failed(what)


class Hub:
    """A hub of its own, in a folder of its own, ended at the end."""

    def __init__(self, program, folder, store=None):
        folder.mkdir(parents=True)
        self.program, self.folder = program, folder
        self.store = (store or "sqlite:").partition(":")[0]
        self.address = f"unix:{folder / 'hub.sock'}"
        command = [program, "hub", "run", "--data", folder / "data", "--listen", self.address]
        command += ["--store", store] if store else []
        self.log = open(folder / "hub.log", "w")
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = self.child.stdout.readline()
        check(ready.startswith("{"), f"the hub did not start: {(folder / 'hub.log').read_text()}")

    def run(self, *words, **environment):
        command = [self.program, *map(str, words), "--hub", self.address, "--json"]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            check=False,
        )

    def items(self, *words):
        ended = self.run(*words)
        check(ended.returncode == 0, f"{words}: {ended.returncode} {ended.stderr}")
        return json.loads(ended.stdout)["items"]

    def does(self, *words):
        return self.items(*words)[0]["object"]

    def refuses(self, code, said, *words, **environment):
        ended = self.run(*words, **environment)
        check(ended.returncode == code, f"{words}: {ended.returncode}, not {code}: {ended.stderr}")
        error = json.loads(ended.stderr.splitlines()[-1])
        check(said in error["message"], f"{words}: {error}")
        return error

    def end(self):
        self.child.terminate()
        self.child.wait()
        self.log.close()


def step(what, found=""):
    print(f"+ {what}{': ' if found else ''}{found}", flush=True)


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(ROWS["features"])
        out.writerows(rows)


def write_features(path):
    lines = []
    for name in ROWS["features"]:
        allowed = "allowed = { range = { min = 0.0 } }"
        lines += ["[[features]]", f"name = {json.dumps(name)}", 'type = "float"', allowed, ""]
    path.write_text("\n".join(lines))


def agreement(one, other):
    """The share of rows for which two versions say the same."""
    labels = [ROWS["predictions"][version]["label"] for version in (one, other)]
    return sum(left == right for left, right in zip(*labels)) / len(labels[0])


def register(hub, folder):
    noon = folder / "by-noon.csv"
    write_csv(noon, ROWS["rows"][:BY_NOON])
    check(hub.does("dataset", "register", "cells", "--file", noon) == "cells@1", "cells@1")
    whole = HERE / "cells.parquet"
    licence = "CC BY 4.0, https://doi.org/10.24432/C5DW2B"
    words = ["dataset", "register", "cells", "--file", whole, "--notes", licence]
    check(hub.does(*words) == "cells@2", "cells@2")
    rows = {row["version"]: row["rows"] for row in hub.items("dataset", "list", "cells")}
    check(rows == {"cells@1": BY_NOON, "cells@2": len(ROWS["rows"])}, rows)
    step("two data-set versions, CSV and Parquet", rows)

    features = folder / "features.toml"
    write_features(features)
    check(hub.does("featureset", "register", "cell-features", "--file", features) ==
          "cell-features@1", "cell-features@1")
    hub.does("environment", "set", "clinic", "--protected", "true", "--description", "at the ward")
    hub.does("model", "create", "tumour", "--owner", "alice", "--team", "pathology", "--tag",
             "cells", "--objective", "p99<=50ms")
    for version, source, data, more in (
        ("tumour@1", "1", "cells@1", []),
        ("tumour@2", "2", "cells@2", ["--parent", "tumour@1", "--param", "trees=40"]),
        ("tumour@3", "1", "cells@2", ["--parent", "tumour@2"]),
    ):
        words = [
            "version", "register", "--model", "tumour",
            "--file", MODELS / "tumour" / source / "model.onnx",
            "--dataset", f"{data}:test", "--featureset", "cell-features@1",
            "--metric", f"accuracy={ROWS['predictions'][source]['accuracy']}",
            "--metric", f"agreement={agreement('1', source)}",
            "--author", "alice", "--commit", "4f1c2e9", *more,
        ]
        check(hub.does(*words) == version, version)
    best = hub.items("version", "list", "tumour", "--filter", "metric.accuracy>0.9 author=alice",
                     "--sort", "metric.accuracy:desc")
    figures = [row["metrics"]["accuracy"] for row in best]
    check(len(best) == 3 and figures == sorted(figures, reverse=True), figures)
    step("three versions with their files, by accuracy", [row["version"] for row in best])


def past(hub):
    hub.does("alias", "set", "champion", "tumour@1", "--reason", "the first")
    first = hub.items("alias", "show", "tumour", "champion")[0]["moves"][0]["at"]
    hub.does("alias", "set", "champion", "tumour@2", "--reason", "agrees more")
    hub.does("alias", "set", "champion", "tumour@3", "--reason", "faster")
    now = hub.items("alias", "show", "tumour", "champion")[0]
    check(now["version"] == "tumour@3" and len(now["moves"]) == 3, now)
    for moved, version in zip(reversed(now["moves"]), ("tumour@1", "tumour@2", "tumour@3")):
        then = hub.items("alias", "show", "tumour", "champion", "--at", moved["at"])[0]
        check(then["version"] == version, (moved, then))
    model = hub.items("model", "show", "tumour", "--at", first)[0]
    check(model["aliases"]["champion"] == 1 and model["versions"] == 3, model)
    hub.refuses(3, "had no alias", "alias", "show", "tumour", "champion", "--at", "2h ago")
    why = [entry["why"] for entry in hub.items("alias", "history", "tumour", "champion")]
    check(why == ["faster", "agrees more", "the first"], why)
    step("what the champion was at", first)


def compared(hub):
    rows = hub.items("version", "compare", "tumour@1", "tumour@2")
    differing = {row["fact"] for row in rows if not row["same"]}
    check({"metric accuracy", "sha256", "test"} <= differing, differing)
    rows = hub.items("profile", "compare", "cells@1", "cells@2")
    check(len(rows) == len(ROWS["features"]), len(rows))
    check(len(hub.items("profile", "show", "cells@2")) == len(rows), "profile show")
    tree = hub.items("dataset", "lineage", "cells@2")[0]
    made = [node["name"] for node in tree["below"]]
    check(made == ["tumour@2", "tumour@3"], made)
    step("two versions and two profiles compared; made from cells@2", made)


def edited(hub, folder):
    """Alice has the card in her editor while Bob changes it."""
    editor = folder / "editor.sh"
    bob = f"'{hub.program}' model edit tumour --set owner=bob --hub '{hub.address}' >&2"
    editor.write_text(f"#!/bin/sh\n{bob}\nsed -i 's/pathology/oncology/' \"$1\"\n")
    editor.chmod(0o755)
    state = {"EDITOR": str(editor), "VISUAL": "", "XDG_STATE_HOME": str(folder / "state")}
    error = hub.refuses(6, "was changed meanwhile", "model", "edit", "tumour", **state)
    check('+ team = "oncology"' in error["difference"], error)
    check('- owner = "bob"' in error["difference"], error)
    kept = pathlib.Path(error["kept"])
    check('team = "oncology"' in kept.read_text(), kept)
    check(hub.items("model", "show", "tumour")[0]["owner"] == "bob", "Bob was first")
    hub.does("model", "edit", "tumour", "--file", kept)
    check(hub.items("model", "show", "tumour")[0]["team"] == "oncology", "then Alice")
    step("the second editor was told, and lost nothing", kept.name)


# All that there is, and nothing of it in a hub that nobody has used.
LISTS = (
    ["model", "list"],
    ["alias", "list"],
    ["dataset", "list"],
    ["featureset", "list"],
    ["environment", "list"],
)
TABLES = (
    *LISTS,
    ["version", "list", "tumour"],
    ["dataset", "list", "cells"],
    ["featureset", "list", "cell-features"],
    ["model", "show", "tumour"],
    ["version", "show", "tumour@2"],
    ["version", "lineage", "tumour@3"],
    ["version", "compare", "tumour@1", "tumour@2"],
    ["dataset", "lineage", "cells@2"],
    ["featureset", "lineage", "cell-features@1"],
)
# What is read out of stored files, once they were copied.
PROFILES = (
    ["profile", "show", "cells@1"],
    ["profile", "compare", "cells@1", "cells@2"],
)
# Places in a journal: another hub's has other entries between.
PLACES = {"revision", "sequence"}


def bare(value):
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if key not in PLACES}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


def the_same(hub, other, tables):
    for words in tables:
        here, there = bare(hub.items(*words)), bare(other.items(*words))
        check(here == there, f"{words}: {here} here, {there} there")


def taken_over(hub, other, folder):
    for words in LISTS:
        check(other.items(*words) == [], f"{words}: the second hub is empty")
    export, again = folder / "export.jsonl", folder / "again.jsonl"
    lines = hub.items("export", "--file", export)[0]["exported"]
    broken = folder / "broken.jsonl"
    broken.write_text(export.read_text() + "{\n")
    other.refuses(2, f"line {lines + 1}:", "import", broken)
    check(other.items("model", "list") == [], "a broken line changes nothing")
    half = folder / "half.jsonl"
    half.write_text("".join(export.read_text().splitlines(keepends=True)[: lines // 2]))
    check(other.items("import", half)[0]["imported"] == lines // 2, "the first half")
    whole = other.items("import", export)[0]
    check((whole["imported"], whole["known"]) == (lines - lines // 2, lines // 2), whole)
    check(other.items("import", export)[0]["imported"] == 0, "once more, and nothing is done")
    other.items("export", "--file", again)
    check(again.read_bytes() == export.read_bytes(), "the export of the import differs")
    the_same(hub, other, TABLES)
    champion = ["alias", "show", "tumour", "champion"]
    moves = hub.items(*champion)[0]["moves"]
    the_same(hub, other, [[*champion, "--at", moved["at"]] for moved in moves])
    step(f"taken over by an empty hub on {other.store}, line by line and table by table",
         f"{lines} changes")

    missing = other.run("artifact", "verify")
    check(missing.returncode == 1, "the files did not come along, and it is said")
    for version in ("tumour@1", "tumour@2"):
        file = folder / f"{version}.onnx"
        hub.items("artifact", "download", version, file)
        other.items("artifact", "upload", file)
    for row in hub.items("dataset", "list", "cells"):
        file = folder / f"{row['version']}.profile"
        hub.items("artifact", "download", row["profile"], file)
        other.items("artifact", "upload", file)
    other.items("artifact", "verify")
    the_same(hub, other, PROFILES)
    step("its files copied, and whole")


def damaged(hub, folder):
    sha256 = hub.items("version", "show", "tumour@2")[0]["artifact"]["sha256"]
    blob = hub.folder / "data" / "artifacts" / "sha256" / sha256[:2] / sha256[2:]
    stored = bytearray(blob.read_bytes())
    stored[len(stored) // 2] ^= 1
    blob.write_bytes(stored)
    verified = hub.run("artifact", "verify")
    check(verified.returncode == 1, verified.stderr)
    items = json.loads(verified.stdout)["items"]
    broken = [item["versions"] for item in items if item["fault"]]
    check(broken == [["tumour@2"]], broken)
    file = folder / "damaged.onnx"
    hub.refuses(1, "damaged", "artifact", "download", "tumour@2", file)
    check(not file.exists(), "nothing is left behind")
    step("one bit of a stored file flipped: found, named, never handed out", broken[0][0])


def day(program, folder, store):
    hub = Hub(program, folder / "hub")
    other = None
    try:
        other = Hub(program, folder / "other", store)
        register(hub, folder)
        past(hub)
        compared(hub)
        edited(hub, folder)
        taken_over(hub, other, folder)
        damaged(hub, folder)
    finally:
        for one in (hub, other):
            if one:
                one.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the binnacle to run")
    parser.add_argument("--store", help="the second hub's store; SQLite in its folder without it")
    parser.add_argument("--folder", help="an empty folder to work in; one that goes without it")
    asked = parser.parse_args()
    program = str(pathlib.Path(asked.program).resolve())
    with tempfile.TemporaryDirectory(prefix="binnacle-day-") as made:
        try:
            day(program, pathlib.Path(asked.folder or made), asked.store)
        except Failed as failed:
            print(f"x {failed}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
