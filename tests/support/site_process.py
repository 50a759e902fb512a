"""A process of a site: serves HTTP if it is given a port, and does what it reads from its standard input.

One expression or statement per line, answered by one line of JSON: {"value": …} or {"error": …}.
"""

import json
import sys
import threading
import traceback
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402


class _Handler(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def serve(port: int) -> None:
    server = ThreadedWSGIServer(("127.0.0.1", port), _Handler)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()


def answer(line: str, names: dict[str, Any]) -> dict[str, Any]:
    code = json.loads(line)
    try:
        try:
            compiled = compile(code, "<test>", "eval")
        except SyntaxError:
            exec(compile(code, "<test>", "exec"), names)
            return {"value": None}
        return {"value": eval(compiled, names)}
    except Exception:
        return {"error": traceback.format_exc()}


def main() -> None:
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    names: dict[str, Any] = {model.__name__: model for model in apps.get_models()}
    print(json.dumps({"value": "ready"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line, names), default=str), flush=True)


main()
