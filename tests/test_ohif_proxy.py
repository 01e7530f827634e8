import http.server
import threading
import urllib.error
import urllib.request

import pytest


class Echo(http.server.BaseHTTPRequestHandler):
    """A PACS that says what it was asked."""

    def do_GET(self):
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(f"{self.path} as {self.headers['Accept']}".encode())

    def log_message(self, *_):
        pass


def _running(server):
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def proxy(script, tmp_path):
    (tmp_path / "index.html").write_text("the viewer")
    pacs = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server = script("ohif").serve(tmp_path, _running(pacs), 0)
    yield _running(server)
    for one in (server, pacs):
        one.shutdown()
        one.server_close()


def _get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode(), answer.headers


def test_viewer_and_pacs_have_one_address(proxy):
    assert _get(f"{proxy}/viewer?StudyInstanceUIDs=1.2")[0] == "the viewer"
    text, headers = _get(f"{proxy}/dicom-web/studies?limit=1", Accept="application/json")
    assert text == "/dicom-web/studies?limit=1 as application/json"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert '"qidoRoot": "/dicom-web"' in _get(f"{proxy}/app-config.js")[0]


def test_what_the_pacs_refuses_stays_refused(proxy):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        _get(f"{proxy}/dicom-web/missing")


def test_folder_without_the_viewer_is_refused(script, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script("ohif").main([str(tmp_path)])
    assert "holds no index.html" in capsys.readouterr().err
