"""An inference server whose versions misbehave as their files say. Standard library alone.

    python3 tests/data/misbehaving/server.py REPOSITORY

Speaks the Open Inference Protocol over HTTP with the repository extension, and lays versions out as
MLServer does: REPOSITORY/NAME.VERSION/model.joblib, loaded and unloaded by that name. As in servers
that keep models apart, each version runs in a process of its own, so that one that crashes takes
nobody with it: its requests fail until somebody loads it again. Prints its address as one line of
JSON once it answers.

A version's file is JSON: what it answers (`score`), and its fault, if it has one:
`delay_ms`, `error_share`, `nan_share`, `crash_at_load`, `crash_at` (the number of the request),
`leak_kb` (for each request), `never_ready`.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How long a version may take to begin.
BEGIN_WITHIN_S = 10


def version(path):
    """The process of one version: a line of JSON in, a line of JSON out."""
    behaviour = json.loads(pathlib.Path(path).read_text())
    if behaviour.get("crash_at_load"):
        os.abort()
    dice, leaked, asked = random.Random(7), [], 0
    print("{}", flush=True)
    for line in sys.stdin:
        asked += 1
        if asked == behaviour.get("crash_at"):
            os.abort()
        # Written to, so that it is memory and not a promise of it.
        leaked.append(b"x" * (behaviour.get("leak_kb", 0) << 10))
        time.sleep(behaviour.get("delay_ms", 0) / 1e3)
        rows = json.loads(line)
        score = behaviour.get("score", 0.9)
        if dice.random() < behaviour.get("nan_share", 0):
            score = float("nan")
        answer = {"rows": rows, "score": score}
        if dice.random() < behaviour.get("error_share", 0):
            answer = {"error": "the version has run into a bug"}
        print(json.dumps(answer), flush=True)


class Version:
    """A version that was loaded."""

    def __init__(self, path):
        self.lock = threading.Lock()
        command = [sys.executable, __file__, "--version", str(path)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.never_ready = bool(json.loads(path.read_text()).get("never_ready"))
        if not self.process.stdout.readline():
            raise RuntimeError(f"the version ended with {self.process.wait(BEGIN_WITHIN_S)}")

    def is_ready(self):
        return self.process.poll() is None and not self.never_ready

    def ask(self, rows):
        with self.lock:
            try:
                self.process.stdin.write(json.dumps(rows) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except OSError:
                line = ""
        if not line:
            return {"error": "the version's process has ended"}
        return json.loads(line)

    def end(self):
        self.process.kill()
        self.process.wait()


class Repository:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.loaded = {}
        self.lock = threading.Lock()

    def load(self, name):
        path = self.folder / name / "model.joblib"
        if not path.is_file():
            return 404, {"error": f"{name} is not in the repository"}
        self.unload(name)
        try:
            loaded = Version(path)
        except (RuntimeError, ValueError, OSError) as error:
            return 500, {"error": f"{name} cannot be loaded: {error}"}
        with self.lock:
            self.loaded[name] = loaded
        return 200, {}

    def unload(self, name):
        with self.lock:
            loaded = self.loaded.pop(name, None)
        if loaded:
            loaded.end()
        return 200, {}

    def index(self):
        with self.lock:
            names = sorted(self.loaded)
        number = lambda name: name.rpartition(".")[2]
        return [{"name": name, "version": number(name), "state": "READY"} for name in names]

    def find(self, name):
        with self.lock:
            return self.loaded.get(name)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        body = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n"
        self.wfile.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        match parts:
            case ["v2"]:
                return self.answer(200, {"name": "misbehaving", "version": "1"})
            case ["v2", "health", _]:
                return self.answer(200, {})
            case ["v2", "models", name, *rest]:
                loaded = self.server.repository.find(name)
                if loaded is None:
                    return self.answer(404, {"error": f"{name} is not loaded"})
                if rest[-1:] == ["ready"]:
                    return self.answer(200 if loaded.is_ready() else 503, {})
                tensor = {"name": "features", "datatype": "FP32", "shape": [-1, 30]}
                return self.answer(200, {"name": name, "platform": "", "inputs": [tensor]})
        self.answer(404, {"error": "there is nothing here"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        repository = self.server.repository
        match self.path.strip("/").split("/"):
            case ["v2", "repository", "index"]:
                return self.answer(200, repository.index())
            case ["v2", "repository", "models", name, "load"]:
                return self.answer(*repository.load(name))
            case ["v2", "repository", "models", name, "unload"]:
                return self.answer(*repository.unload(name))
            case ["v2", "models", name, *_, "infer"]:
                loaded = repository.find(name)
                if loaded is None:
                    return self.answer(404, {"error": f"{name} is not loaded"})
                rows = json.loads(body)["inputs"][0]["shape"][0]
                said = loaded.ask(rows)
                if "error" in said:
                    return self.answer(500, said)
                score = said["score"]
                output = {
                    "name": "score", "shape": [rows], "datatype": "FP32", "data": [score] * rows,
                }
                return self.answer(200, {"model_name": name, "outputs": [output]})
        self.answer(404, {"error": "there is nothing here"})


def main():
    if sys.argv[1] == "--version":
        return version(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.repository = Repository(sys.argv[1])
    host, port = server.server_address
    print(json.dumps({"http": f"{host}:{port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
