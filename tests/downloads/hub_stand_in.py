"""A hub on this machine: what the client asks for when it makes a repository, commits to it and fetches from it."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubStandIn:
    """Repositories by name, their files by path; ``requests`` are what was asked for."""

    def __init__(self):  # noqa: C901  (one handler, which knows the hub)
        self.repositories, self.requests, self.private = {}, [], {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                length = headers.pop("length", len(body))
                for name, value in {"Content-Length": length, **headers}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def json(self, value, status=200):
                self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

            def missing(self):
                self.answer(404, b'{"error": "Repository not found"}', X_Error_Code="RepoNotFound")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hub.requests.append(("POST", self.path))
                if self.headers.get("Authorization") != "Bearer right":
                    return self.answer(401, b'{"error": "Invalid credentials"}')
                if self.path == "/api/repos/create":
                    asked = json.loads(body)
                    name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                    hub.repositories.setdefault(name, {})
                    hub.private[name] = asked.get("private") or asked.get("visibility") == "private"
                    return self.json({"url": f"{hub.url}/{name}", "name": name, "id": name})
                if self.path == "/api/validate-yaml":  # of the card's first lines
                    return self.json({"errors": [], "warnings": []})
                name = "/".join(self.path.split("/")[3:5])
                if "/preupload/" in self.path:
                    asked = json.loads(body)["files"]
                    modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]
                    return self.json({"files": modes})
                if "/commit/" in self.path:
                    for line in body.splitlines():
                        said = json.loads(line)
                        if said["key"] == "file":
                            content = base64.b64decode(said["value"]["content"])
                            hub.repositories[name][said["value"]["path"]] = content
                    return self.json({"commitUrl": f"{hub.url}/{name}/commit/{'0' * 40}", "commitOid": "0" * 40})
                return self.answer(404)

            def do_GET(self):
                hub.requests.append((self.command, self.path))
                parts = self.path.partition("?")[0].strip("/").split("/")
                if parts[:2] == ["api", "models"]:
                    name = "/".join(parts[2:4])
                    if name not in hub.repositories:
                        return self.missing()
                    if "tree" in parts:
                        files = [
                            {
                                "type": "file",
                                "path": path,
                                "size": len(content),
                                "oid": hashlib.sha1(content).hexdigest(),
                            }
                            for path, content in hub.repositories[name].items()
                        ]
                        return self.json(files)
                    siblings = [{"rfilename": path} for path in hub.repositories[name]]
                    return self.json({"id": name, "sha": "0" * 40, "siblings": siblings})
                name, path = "/".join(parts[:2]), "/".join(parts[4:])
                if name not in hub.repositories:
                    return self.missing()
                content = hub.repositories[name][path]
                facts = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X_Repo_Commit": "0" * 40}
                return self.answer(200, content, **facts)

            do_HEAD = do_GET

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
