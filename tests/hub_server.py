"""A small hub on loopback: what the real client asks for, and the mishaps it must survive."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_right"

_REPO = r"(?P<repo>(datasets/)?[^/]+/[^/]+?)"
_API_REPO = r"/api/(models/(?P<model>[^/]+/[^/?]+)|(?P<dataset>datasets/[^/]+/[^/?]+))"
_RESOLVE = re.compile(rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)")
_API = re.compile(rf"{_API_REPO}(/revision/(?P<revision>[^/?]+))?(\?.*)?")
_TREE = re.compile(rf"{_API_REPO}/tree/(?P<revision>[^/?]+)(/(?P<folder>[^?]+))?(\?.*)?")
_PATHS = re.compile(rf"{_API_REPO}/paths-info/(?P<revision>[^/?]+)")

_PUSH = (
    (re.compile(r"/api/repos/create"), "create"),
    (re.compile(r"/api/validate-yaml"), "yaml"),
    (re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/[^/]+"), "preupload"),
    (re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"), "batch"),
    (re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/[^/]+"), "commit"),
)
"""Steps of a push, by their address."""
LARGE = (".ftv", ".safetensors")
"""What the hub wants as a large file."""


@dataclass
class Hub:
    """State of the server.

    Attributes:
        files: content by (repo, file); a dataset's repo begins with ``datasets/``.
        private, gated: repositories that need TOKEN.
        empty: repositories without a file.
        corrupt: files whose stated hash is not that of the content.
        cut_after: bytes after which the first download of a file breaks off; 0 for never.
        commits: (repo, message, paths) of every commit, in order.
        failing: status of a step of a push that fails (_PUSH, and ``upload``).
        stored: uploaded large files by their SHA-256, which no repository shows before a commit names them.
        requests: (method, path, Range header) as they came.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)
    cut_after: int = 0
    status: int = 200
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    endpoint: str = ""
    empty: set[str] = field(default_factory=set)
    commits: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)

    def repos(self) -> set[str]:
        return {repo for repo, _ in self.files} | self.empty

    def environment(self, home: Path, **variables: str) -> dict[str, str]:
        """That of a process whose client knows this hub alone, and keeps what it gets in `home`."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING", "FTERVIT_MODEL"))
        }
        return {
            **clean, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_ETAG_TIMEOUT": "3",
            "NO_PROXY": "127.0.0.1", **variables,
        }  # fmt: skip


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serves until the block ends; `hub.endpoint` is where."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _oid(content: bytes) -> str:
    """Forty hex digits that name it."""
    return hashlib.sha256(content).hexdigest()[:40]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        content = self._content()
        self.hub.requests.append((self.command, self.path, ""))
        path = self.path.partition("?")[0]
        listed = _PATHS.fullmatch(path)
        if listed:
            self._paths(listed, parse_qs(content.decode()).get("paths", []))
            return
        for pattern, step in _PUSH:
            match = pattern.fullmatch(path)
            if match:
                self._push(step, match, content)
                return
        self._fail(404, "", body=True)

    def do_PUT(self) -> None:
        content = self._content()
        self.hub.requests.append((self.command, self.path, ""))
        if "upload" in self.hub.failing:
            self._fail(self.hub.failing["upload"], "", body=True)
            return
        digest = hashlib.sha256(content).hexdigest()
        if self.path != f"/storage/{digest}":
            self._fail(400, "", body=True)
            return
        self.hub.stored[digest] = content
        self._send(200, b"", {}, body=True)

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _push(self, step: str, match: re.Match[str], content: bytes) -> None:
        """A step of a push, which only the right token may take."""
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._fail(401, "", True, "Invalid credentials in Authorization header")
        elif step in self.hub.failing:
            self._fail(self.hub.failing[step], "", body=True)
        else:
            answer = getattr(self, f"_{step}")(match.groupdict().get("repo", ""), content)
            self._json(answer, body=True)

    def _yaml(self, repo: str, content: bytes) -> dict[str, Any]:
        return {"errors": [], "warnings": []}

    def _create(self, repo: str, content: bytes) -> dict[str, Any]:
        wanted = json.loads(content)
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
        if name not in self.hub.repos():
            self.hub.empty.add(name)
            if wanted.get("private") or wanted.get("visibility") == "private":
                self.hub.private.add(name)
        return {"url": f"{self.hub.endpoint}/{name}", "name": name, "id": name}

    def _preupload(self, repo: str, content: bytes) -> dict[str, Any]:
        return {
            "files": [
                {
                    "path": file["path"], "shouldIgnore": False,
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                }
                for file in json.loads(content)["files"]
            ]
        }  # fmt: skip

    def _batch(self, repo: str, content: bytes) -> dict[str, Any]:
        objects = [
            {**wanted, "actions": {"upload": {"href": f"{self.hub.endpoint}/storage/{wanted['oid']}"}}}
            for wanted in json.loads(content)["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    def _commit(self, repo: str, content: bytes) -> dict[str, Any]:
        lines = [json.loads(line) for line in content.splitlines()]
        paths = []
        for line in lines[1:]:
            value = line["value"]
            large = line["key"] == "lfsFile"
            stored = self.hub.stored[value["oid"]] if large else base64.b64decode(value["content"])
            self.hub.files[repo, value["path"]] = stored
            paths.append(value["path"])
        self.hub.commits.append((repo, lines[0]["value"]["summary"], tuple(sorted(paths))))
        return {
            "commitUrl": f"{self.hub.endpoint}/{repo}/commit/{COMMIT}",
            "commitOid": COMMIT,
            "success": True,
        }

    def _answer(self, body: bool) -> None:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        resolve, api, tree = (pattern.fullmatch(self.path) for pattern in (_RESOLVE, _API, _TREE))
        if self.hub.status != 200:
            self._fail(self.hub.status, "", body)
        elif resolve:
            self._resolve(resolve, body)
        elif api:
            self._api(api, body)
        elif tree:
            self._tree(tree, body)
        else:
            self._fail(404, "", body)

    def _refused(self, repo: str, revision: str | None, body: bool) -> bool:
        """Answers for repositories and revisions that this caller does not get."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            self._fail(401, "", body, "Invalid credentials in Authorization header")
        elif repo in self.hub.gated and token != TOKEN:
            self._fail(401, "GatedRepo", body)
        elif repo not in self.hub.repos() or (repo in self.hub.private and token != TOKEN):
            self._fail(401, "RepoNotFound", body)
        elif revision not in (None, "main", "v1", COMMIT):
            self._fail(404, "RevisionNotFound", body)
        else:
            return False
        return True

    def _resolve(self, match: re.Match[str], body: bool) -> None:
        repo, file = match["repo"], unquote(match["file"])
        if self._refused(repo, match["revision"], body):
            return
        content = self.hub.files.get((repo, file))
        if content is None:
            self._fail(404, "EntryNotFound", body)
            return
        digest = hashlib.sha256(content + (b"?" if file in self.hub.corrupt else b"")).hexdigest()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked is None:
            self._send(200, content, headers, body, cut=True)
            return
        start, end = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._send(206, content[start : end + 1], headers, body)

    def _api(self, match: re.Match[str], body: bool) -> None:
        repo = match["model"] or match["dataset"]
        if self._refused(repo, match["revision"], body):
            return
        names = sorted(file for owner, file in self.hub.files if owner == repo)
        listed = {
            "id": repo.removeprefix("datasets/"),
            "sha": COMMIT,
            "private": repo in self.hub.private,
            "siblings": [{"rfilename": name} for name in names],
        }
        self._json(listed, body)

    def _tree(self, match: re.Match[str], body: bool) -> None:
        """What lies in a folder, with what lies deeper if that is asked for."""
        repo, folder = match["model"] or match["dataset"], unquote(match["folder"] or "")
        if self._refused(repo, match["revision"], body):
            return
        inside = f"{folder}/" if folder else ""
        deeper = "recursive=true" in self.path.lower()
        entries = [
            entry
            for entry in self._entries(repo)
            if entry["path"].startswith(inside) and (deeper or "/" not in entry["path"][len(inside) :])
        ]
        if entries:
            self._json(entries, body)
        else:
            self._fail(404, "EntryNotFound", body)

    def _paths(self, match: re.Match[str], paths: list[str]) -> None:
        repo = match["model"] or match["dataset"]
        if not self._refused(repo, match["revision"], body=True):
            self._json([entry for entry in self._entries(repo) if entry["path"] in paths], body=True)

    def _entries(self, repo: str) -> list[dict[str, Any]]:
        """All files and folders of a repository, as the hub describes them."""
        files = {file: content for (owner, file), content in self.hub.files.items() if owner == repo}
        folders = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents} - {"."}
        return [
            *({"type": "directory", "path": path, "oid": _oid(path.encode())} for path in sorted(folders)),
            *(
                {"type": "file", "path": path, "oid": _oid(files[path]), "size": len(files[path])}
                for path in sorted(files)
            ),
        ]

    def _json(self, answer: Any, body: bool) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, body)

    def _fail(self, status: int, code: str, body: bool, message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        if message or code:
            headers["X-Error-Message"] = message or code
        self._send(status, b"", headers, body)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], body: bool, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not body:
            return
        if cut and self.hub.cut_after:
            content, self.hub.cut_after = content[: self.hub.cut_after], 0
            self.close_connection = True
        self.wfile.write(content)
