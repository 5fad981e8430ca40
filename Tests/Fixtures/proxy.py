"""An HTTP proxy of one test: every name stands for 127.0.0.1, and what it was asked for is kept."""

import base64
import http.server
import socket
import threading
import urllib.error
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second one would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def is_stranger(self):
        """Whether a password is wanted and was not given; that is then said."""
        if self.server.password is None or self.headers.get("Proxy-Authorization") == self.server.password:
            return False
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def do_GET(self):
        if self.is_stranger():
            return
        self.server.asked.append(f"{self.command} {self.path}")
        host, _, path = self.path.removeprefix("http://").partition("/")
        fields = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "proxy-connection")}
        request = urllib.request.Request(f"http://127.0.0.1:{host.split(':')[1]}/{path}", headers=fields, method=self.command)
        try:
            answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_CONNECT(self):
        if self.is_stranger():
            return
        self.server.asked.append(f"CONNECT {self.path}")
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", int(self.path.split(":")[1])), 20) as other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(daemon=True, target=pipe, args=(other, self.connection))
            back.start()
            pipe(self.connection, other)
            back.join()


def pipe(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Proxy:
    """Serves until `stop`; `asked` has one line a request."""

    def __init__(self, user=None, password=None):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.asked = self.server.asked = []
        self.server.password = user and "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(daemon=True, target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
