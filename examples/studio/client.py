"""What the checks of the studio share: a server of the tiny model, and requests to it by the standard library alone."""
import base64
import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time
import zlib

PICTURES = pathlib.Path(__file__).resolve().parent.parent / "pictures"


class Server:
    """A running studio; its port is told on its first line."""

    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, "--shots", str(PICTURES), "--port", "0", *map(str, options)],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"studio: (\S+) at http://([\d.]+):(\d+)/", line)
        if not found:
            raise SystemExit(f"the server says {line!r} and ends with {self.process.wait()}")
        self.model, self.host, self.port = found[1], found[2], int(found[3])

    def end(self):
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.close()
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def begin_head(self, path, method="GET"):
        """A socket on which a request has begun whose head goes on."""
        client = socket.create_connection((self.host, self.port), timeout=60)
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n".encode())
        return client

    def begin_body(self, path, size):
        """A socket on which a POST has begun whose body of `size` bytes is still to come."""
        client = self.begin_head(path, "POST")
        client.sendall(f"Content-Length: {size}\r\n\r\n".encode())
        return client

    def ask(self, method, path, body=None, headers=()):
        """Status, headers, and JSON (or bytes) of an answer."""
        with contextlib.closing(self.connect()) as connection:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
            kind = answer.getheader("Content-Type", "")
            return answer.status, answer.headers, json.loads(content) if kind == "application/json" else content

    def chat(self, content="Hello", **options):
        """Status and JSON of a completion."""
        body = {"model": self.model, "messages": [{"role": "user", "content": content}], **options}
        status, _, answer = self.ask("POST", "/v1/chat/completions", body)
        return status, answer

    def start(self, path, body):
        """A connection on which a streamed answer begins, and its response."""
        connection = self.connect()
        connection.request("POST", path, json.dumps(body))
        return connection, connection.getresponse()

    def stream(self, content="Hello", **options):
        return self.start("/v1/chat/completions", {"model": self.model, "stream": True,
                                                   "messages": [{"role": "user", "content": content}], **options})


def events(response):
    """The JSON of each event as it comes; the last may be the text [DONE]."""
    for line in response:
        if line.startswith(b"data: "):
            data = line[6:].strip()
            yield "[DONE]" if data == b"[DONE]" else json.loads(data)


def data_url(content, kind="image/png"):
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def image(content):
    return {"type": "image_url", "image_url": {"url": content if isinstance(content, str) else data_url(content)}}


def text(content):
    return {"type": "text", "text": content}


def png(width, height, colour=(200, 30, 90), rows=None):
    """A picture of one colour; `rows` fewer than `height` make a file that promises more than it has."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    line = b"\0" + bytes(colour) * width if rows != 0 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(line * (height if rows is None else rows))) + chunk(b"IEND", b""))


def until(condition, seconds=10):
    """Waits for something that another thread or process does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
