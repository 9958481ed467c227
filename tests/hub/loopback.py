"""A Hugging Face Hub on 127.0.0.1 for the real client: repositories in memory, tokens checked, faults on demand.

It knows the calls that pushing and pulling make, commits all or nothing, and stops when its context ends. By hand:

    python tests/hub/loopback.py openai/whisper-base=../shared/encoders/whisper-base-encoder

serves one for ten minutes, with these folders as models on it, and prints the variables to export.
"""

import argparse
import base64
import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

WRITER, READER = "hf_" + "w" * 34, "hf_" + "r" * 34
LICENCES = {"apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-4.0", "mit", "other", "unknown"}
TASKS = {"audio-classification", "feature-extraction", None}
LFS_SUFFIXES = (".safetensors", ".parquet")


@dataclass
class Fault:
    """What to do to the first `times` requests whose method and path match; `skip` lets some through before."""

    method: str
    path: str
    action: str | int
    times: int = 1
    skip: int = 0


@dataclass
class Repo:
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        sha = self.branches.get(revision, revision)
        return (sha, self.commits[sha]) if sha in self.commits else None

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        parent = self.branches.get(branch, "")
        content = sorted((path, hashlib.sha256(data).hexdigest()) for path, data in files.items())
        sha = hashlib.sha1(json.dumps([parent, content, len(self.commits)]).encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        return sha


class LoopbackHub:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.owners = {"org"}
        self.url = ""
        self.lock = threading.RLock()

    def add_model(self, name: str, folder: Path) -> None:
        """A public model with the files of a folder, as if somebody had pushed them."""
        self.repos[f"models/{name}"] = repo = Repo(private=False)
        repo.commit("main", {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()})

    def fault_for(self, method: str, path: str) -> str | int | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and method == fault.method and fault.path in path:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault.action
        return None


class Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.hub.fault_for(self.command, path)
        if fault == "drop":
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        self.body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        if isinstance(fault, int):
            return self.answer(fault, {"error": "asked for by the test"})
        with self.hub.lock:
            self.route(path, fault)
        if fault == "drop after":
            self.connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, body: Any = b"", headers: dict[str, str] | None = None, length: int = -1) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length < 0 else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

    def route(self, path: str, fault: str | int | None) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in (WRITER, READER):
            return self.refuse(401, "", "Invalid credentials in Authorization header")
        if path == "/api/validate-yaml":
            return self.validate()
        if path == "/api/whoami-v2":
            return self.answer(200, {"name": "tester", "type": "user"}) if token else self.refuse(401, "", "no token")
        if path.startswith("/lfs/"):
            if hashlib.sha256(self.body).hexdigest() != path.rpartition("/")[2]:
                return self.refuse(400, "", "the bytes are not those of this oid")
            self.hub.blobs[path.rpartition("/")[2]] = self.body
            return self.answer(200)
        if path == "/api/repos/create":
            return self.create(token)
        kind, rest = self.split(path)
        parts = rest.split("/")
        name, verb = "/".join([kind, *parts[:2]]).removesuffix(".git"), parts[2:]
        writes = self.command == "POST" and verb[:1] != ["paths-info"]
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not token):
            return self.refuse(401 if not token else 404, "RepoNotFound", "Repository not found")
        if writes and token != WRITER:
            return self.refuse(403 if token else 401, "", "You don't have the rights to write to this repository")
        if verb == ["info", "lfs", "objects", "batch"]:
            return self.batch()
        if verb[:1] == ["branch"]:
            if verb[1] in repo.branches:
                return self.refuse(409, "", "Reference already exists")
            repo.branches[verb[1]] = repo.branches["main"]
            return self.answer(200, {})
        at = repo.files(verb[1] if len(verb) > 1 else "main")
        if at is None:
            return self.refuse(404, "RevisionNotFound", f"Revision not found: {verb[1]}")
        self.serve(name, repo, verb or ["revision", "main"], *at, fault)

    def split(self, path: str) -> tuple[str, str]:
        """("models" | "datasets" | "spaces", the rest) of an address of the API or of a file."""
        path = path.removeprefix("/api").lstrip("/")
        kind, _, rest = path.partition("/")
        return (kind, rest) if kind in ("models", "datasets", "spaces") else ("models", path)

    def serve(self, name: str, repo: Repo, verb: list[str], sha: str, files: dict[str, bytes], fault: Any) -> None:
        if verb[0] == "preupload":
            wanted = [entry["path"] for entry in json.loads(self.body)["files"]]
            return self.answer(200, {"files": [self.upload_mode(path, files.get(path)) for path in wanted]})
        if verb[0] == "commit":
            return self.commit(name.removeprefix("models/"), repo, verb[1], sha, files)
        if verb[0] == "revision":
            info = {"id": name.partition("/")[2], "sha": sha, "private": repo.private, "tags": [], "downloads": 0}
            return self.answer(
                200, info | {"siblings": [self.entry(p, d) | {"rfilename": p} for p, d in files.items()]}
            )
        if verb[0] == "tree":
            below = self.tree("/".join(verb[2:]), files)
            return self.answer(200, below) if below else self.refuse(404, "EntryNotFound", "no such folder")
        if verb[0] == "paths-info":
            wanted = json.loads(self.body)["paths"]
            return self.answer(200, [self.entry(p, files[p]) for p in wanted if p in files])
        path = "/".join(verb[2:])
        if verb[0] != "resolve" or path not in files:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        data = files[path]
        headers = {
            "X-Repo-Commit": sha,
            "ETag": f'"{self.entry(path, data).get("lfs", {}).get("oid") or blob_id(data)}"',
        }
        if fault == "corrupt" and self.command == "GET":
            return self.answer(200, data[:-4] + bytes(b ^ 0x40 for b in data[-4:]), headers)
        if fault == "truncate" and self.command == "GET":
            self.answer(200, data[: len(data) // 2], headers, length=len(data))
            self.close_connection = True
            return self.connection.close()
        self.answer(200, data, headers)

    @staticmethod
    def upload_mode(path: str, there: bytes | None) -> dict[str, Any]:
        mode = {"path": path, "shouldIgnore": False, "uploadMode": "lfs" if path.endswith(LFS_SUFFIXES) else "regular"}
        if there is not None:
            mode["oid"] = hashlib.sha256(there).hexdigest() if mode["uploadMode"] == "lfs" else blob_id(there)
        return mode

    def tree(self, folder: str, files: dict[str, bytes]) -> list[dict[str, Any]]:
        """Files and folders below `folder`; only the next level unless the query says recursive."""
        prefix = f"{folder}/" if folder else ""
        paths = {path for path in files if path.startswith(prefix)}
        folders = {path[:i] for path in paths for i, letter in enumerate(path) if letter == "/" and i > len(folder)}
        if "recursive=true" not in urlsplit(self.path).query.lower():
            paths, folders = ({p for p in group if "/" not in p[len(prefix) :]} for group in (paths, folders))
        entries = [{"type": "directory", "path": path, "size": 0, "oid": blob_id(path.encode())} for path in folders]
        return entries + [self.entry(path, files[path]) for path in sorted(paths)]

    @staticmethod
    def entry(path: str, data: bytes) -> dict[str, Any]:
        made = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
        if path.endswith(LFS_SUFFIXES):
            digest = hashlib.sha256(data).hexdigest()
            made["lfs"] = {"oid": digest, "sha256": digest, "size": len(data), "pointerSize": 130}
        return made

    def create(self, token: str) -> None:
        wanted = json.loads(self.body)
        owner, kind = wanted.get("organization") or "tester", wanted.get("type") or "model"
        if token != WRITER or owner not in self.hub.owners:
            return self.refuse(403 if token else 401, "", f"You don't have the rights to create a {kind} under {owner}")
        name = f"{owner}/{wanted['name']}"
        url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if f"{kind}s/{name}" in self.hub.repos:
            return self.answer(409, {"error": "You already created this repo", "url": url, "name": name})
        repo = self.hub.repos[f"{kind}s/{name}"] = Repo(private=wanted.get("visibility") == "private")
        repo.commit("main", {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        self.answer(200, {"url": url, "name": name})

    def batch(self) -> None:
        objects = [
            o if o["oid"] in self.hub.blobs else o | {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
            for o in json.loads(self.body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def commit(self, name: str, repo: Repo, branch: str, sha: str, files: dict[str, bytes]) -> None:
        files = dict(files)
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header" and value.get("parentCommit") not in (None, sha):
                return self.refuse(412, "", "A commit has happened since. Please refresh and try again.")
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        made = repo.commit(branch, files)
        self.answer(200, {"commitOid": made, "commitUrl": f"{self.hub.url}/{name}/commit/{made}", "hookOutput": ""})

    def validate(self) -> None:
        """The parts of the Hub's check of a card's metadata that a card of ours could fail."""
        wanted = json.loads(self.body)
        block = re.match(r"---\n(.*?)\n---\n", wanted["content"], re.DOTALL)
        data = yaml.safe_load(block[1]) if block else None
        errors = [] if isinstance(data, dict) else ["empty or missing yaml metadata"]
        if not errors:
            licence = data.get("license", "unknown" if wanted["repoType"] == "space" else None)
            if licence not in LICENCES:
                errors.append(f'"license" must be one of {sorted(LICENCES)}, got {licence!r}')
            if licence == "other" and not data.get("license_name"):
                errors.append('"license_name" is required with license: other')
            if data.get("pipeline_tag") not in TASKS:
                errors.append(f'"pipeline_tag" is {data["pipeline_tag"]!r}')
            if wanted["repoType"] == "space" and data.get("sdk") not in ("gradio", "static", "docker"):
                errors.append('"sdk" is required')
        answer = {"errors": [{"message": text} for text in errors], "warnings": []}
        self.answer(400 if errors else 200, answer)


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def loopback_hub():
    """A running `LoopbackHub`; its `url` is what HF_ENDPOINT wants."""
    hub = LoopbackHub()
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def main() -> None:
    """For trying the README by hand: it stops by itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="ORG/NAME=FOLDER", help="models that are there already")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    args = parser.parse_args()
    with loopback_hub() as running:
        for entry in args.models:
            name, _, folder = entry.partition("=")
            running.add_model(name, Path(folder))
        print(f"export HF_ENDPOINT={running.url} HF_HUB_DISABLE_XET=1 HF_TOKEN={WRITER}", flush=True)
        time.sleep(args.seconds)


if __name__ == "__main__":
    main()
