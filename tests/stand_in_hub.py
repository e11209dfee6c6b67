"""What train.py asks of a model hub, on localhost: repositories and commits, kept in memory."""

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "hf_stand_in"
OWNER = "someone"


@dataclass
class Repository:
    """Its files by their names, the messages of its commits, and what it was made with."""

    made_with: dict
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


@contextmanager
def stand_in_hub():
    """Serve a hub. Yields its address, and its repositories by their names."""
    repositories: dict[str, Repository] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.answer(401, {"error": "Invalid username or password."})
                return
            self.answer(200, self.reply(body))

        def reply(self, body: bytes) -> dict:
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or OWNER}/{asked['name']}"
                repositories.setdefault(name, Repository(asked))
                return {"url": f"{address}/{name}"}
            if self.path == "/api/validate-yaml":
                return {"errors": [], "warnings": []}
            _, _, _, owner, name, what, *_ = self.path.split("/")
            if what == "preupload":
                files = json.loads(body)["files"]
                modes = {"uploadMode": "regular", "shouldIgnore": False}
                return {"files": [{"path": file["path"], **modes} for file in files]}
            assert what == "commit", self.path
            repository = repositories[f"{owner}/{name}"]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "header":
                    repository.messages.append(line["value"]["summary"])
                elif line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    repository.files[line["value"]["path"]] = content
            return {"commitUrl": f"{address}/{owner}/{name}/commit/1", "commitOid": "1" * 40}

        def answer(self, status: int, reply: dict) -> None:
            body = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield address, repositories
        server.shutdown()
