#!@python3@/bin/python3
"""Answers GET /sha256/<text> on $PORT (8000), and counts the requests for each text in SQLite."""
import hashlib
import http.server
import json
import os
import signal
import sqlite3
import sys
import urllib.parse

database = sqlite3.connect(os.environ.get("DATABASE", ":memory:"))
database.execute("create table if not exists requests (text primary key, times integer)")


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        place, _, text = urllib.parse.unquote(self.path).lstrip("/").partition("/")
        if place == "sha256":
            database.execute(
                "insert into requests values (?, 1) on conflict do update set times = times + 1", [text]
            )
            (times,) = database.execute("select times from requests where text = ?", [text]).fetchone()
            self.answer(200, {"sha256": hashlib.sha256(text.encode()).hexdigest(), "times": times})
        else:
            self.answer(404, {"error": "not found; try /sha256/<text>"})

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# Process 1 of a container ignores signals for which it has no handler.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("", int(os.environ.get("PORT", "8000"))), Api).serve_forever()
