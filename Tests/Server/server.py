"""A vlm-serve process of its own, for tests."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading


class Server:
    """Starts vlm-serve on a free port and ends it with the block."""

    def __init__(self, *arguments, environment=None, descriptors=(), listens=True):
        program = os.path.join(os.environ["VLM_PROGRAMS"], "vlm-serve")
        self.errors = []
        self.process = subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})}, pass_fds=descriptors,
        )
        self.reader = threading.Thread(target=self._read_errors, daemon=True)
        self.reader.start()
        self.line = self.process.stdout.readline().strip() if listens else ""
        match = re.search(r"http://(.+):(\d+)", self.line)
        self.host, self.port = (match[1].strip("[]"), int(match[2])) if match else (None, None)
        self.url = f"http://{self.host}:{self.port}"

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        self.close()

    def stop(self, number=signal.SIGTERM):
        """Ends the server; returns its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=60)
        self.close()
        return status

    def close(self):
        self.reader.join(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()

    def request(self, method, path, body=None, headers=None):
        """Returns the status, the headers and the body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            data = json.dumps(body) if isinstance(body, (dict, list)) else body
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        """Returns the status and the JSON of the answer."""
        status, _, data = self.request("POST", path, body, headers)
        return status, json.loads(data)

    def metrics(self):
        """The lines of /metrics as a dictionary."""
        text = self.request("GET", "/metrics")[2].decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}
