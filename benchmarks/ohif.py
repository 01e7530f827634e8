"""Serve the viewer OHIF in front of an Orthanc, to look at DICOM results as a radiologist would.

    npm pack @ohif/app && tar xzf ohif-app-*.tgz
    python benchmarks/ohif.py package/dist --pacs http://127.0.0.1:8042

Then open http://127.0.0.1:8043/ and a study. OHIF and the PACS must come from one address; this proxy is that address.
"""

from __future__ import annotations

import argparse
import http.server
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path

WEB = "/dicom-web"
# Without these two a browser gives OHIF no shared memory.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
PASSED_ON = ("Accept", "Content-Type")
SOURCE = {
    "friendlyName": "Orthanc",
    "qidoRoot": WEB,
    "wadoRoot": WEB,
    "wadoUriRoot": WEB,
    "qidoSupportsIncludeField": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "omitQuotationForMultipartRequest": True,
    "bulkDataURI": {"enabled": True},
}
CONFIGURATION = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "orthanc",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "orthanc",
            "configuration": SOURCE,
        }
    ],
}


class Proxy(http.server.SimpleHTTPRequestHandler):
    """Files of OHIF, its settings, and everything below /dicom-web from the PACS."""

    def __init__(self, *args, pacs, **options):
        self.pacs = pacs
        super().__init__(*args, **options)

    def do_GET(self):
        """Answer a GET request."""
        path = self.path.partition("?")[0]
        if path.startswith(WEB):
            self._pass_on()
        elif path == "/app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(CONFIGURATION)};".encode())
        else:
            if not Path(self.translate_path(path)).is_file():
                self.path = "/index.html"  # OHIF's own addresses, such as /viewer
            super().do_GET()

    def do_POST(self):
        """Pass a POST request on to the PACS."""
        self._pass_on()

    def _pass_on(self):
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        request = urllib.request.Request(self.pacs + self.path, body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers.get("Content-Type", ""), error.read())

    def _answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        """Add what shared memory takes."""
        for name, value in ISOLATION.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        """Say nothing on every request."""


def serve(dist: Path, pacs: str, port: int) -> http.server.ThreadingHTTPServer:
    """Make the server, on loopback; the caller lets it run."""
    handler = partial(Proxy, pacs=pacs.rstrip("/"), directory=str(dist))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path, help="folder with OHIF's index.html")
    parser.add_argument("--pacs", default="http://127.0.0.1:8042", help="Orthanc with its DICOMweb plugin")
    parser.add_argument("--port", type=int, default=8043)
    args = parser.parse_args(argv)
    if not (args.dist / "index.html").exists():
        parser.error(f"{args.dist} holds no index.html; give the folder dist of @ohif/app.")
    with serve(args.dist, args.pacs, args.port) as server:
        print(f"http://127.0.0.1:{args.port}/")
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
