"""A server of OpenAI's protocol on loopback whose faults are planted: real HTTP, a toy for a model.

What it says is a function of what it is asked: ids count up from the prompt's last one, texts are
repeated, and a chat answers with the last message. Faults are queued, and each spoils one answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.models.loading import load_tokenizer

MODEL = "zoo/oracle"
Fault = Callable[["Handler", dict[str, Any]], bool]
"""Spoils an answer: sends another one and returns True, or changes the answer and returns False."""


@dataclass
class Faulty:
    """The server's state: what it was asked, what it will do wrong, and how busy it was."""

    port: int = 0
    model: str = MODEL
    models: list[str] | None = field(default_factory=lambda: [MODEL])
    root: str | None = "toy"
    release: str | None = "1.0"
    key: str | None = None
    delay: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    reached: int = 0
    """How many HTTP requests came, whatever was asked."""
    busiest: int = 0
    busy: int = 0
    gone: bool = False
    said: Callable[[str], str] | None = None
    """What a chat answers to its last message; the message itself without it."""
    lock: Any = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        tokenizer = load_tokenizer(MODEL)
        count = min(body.get("max_tokens") or body.get("max_completion_tokens"), 4)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        if path.endswith("/chat/completions"):
            last = body["messages"][-1]["content"]
            text = last if self.said is None else self.said(last)
            choice |= {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            read, made = len(last), 1
        elif isinstance(body["prompt"], list) or body.get("return_token_ids"):
            prompt = body["prompt"]
            if isinstance(prompt, str):
                prompt = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            ids = [3 + (prompt[-1] + step) % 500 for step in range(count)]
            choice |= {
                "text": tokenizer.decode(ids),
                "token_ids": ids,
                "prompt_token_ids": prompt,
                "logprobs": {"token_logprobs": [-0.5] * count},
            }
            if "prompt_logprobs" in body:
                told = [{str(each): {"logprob": -1.0}, "9": {"logprob": -2.0}} for each in prompt]
                choice["prompt_logprobs"] = [None, *told[1:]]
            read, made = len(prompt), count
        else:
            text = " " + body["prompt"].split()[-1]
            choice["text"] = text
            read = len(tokenizer(body["prompt"])["input_ids"])
            made = len(tokenizer(text)["input_ids"])
        usage = {"prompt_tokens": read, "completion_tokens": made}
        return {
            "model": self.model,
            "choices": [choice],
            "usage": usage,
            "system_fingerprint": "toy",
        }


class Handler(BaseHTTPRequestHandler):
    state: Faulty
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **own}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status: int, document: Any, **headers: str) -> None:
        self.send(status, json.dumps(document).encode(), **headers)

    def allowed(self) -> bool:
        key = self.state.key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            self.send_json(401, {"error": {"message": "who are you?"}})
            return False
        return True

    def do_GET(self) -> None:
        state = self.state
        with state.lock:
            state.reached += 1
        if self.path == "/version" and state.release is not None:
            self.send_json(200, {"version": state.release})
        elif self.path == "/v1/models" and self.allowed():
            if state.models is None:
                self.send_json(500, "Internal Server Error")
            else:
                self.send_json(
                    200, {"data": [{"id": name, "root": state.root} for name in state.models]}
                )
        elif self.path == "/version":
            self.send_json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        state = self.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if state.gone:  # its open connections end with a server
            self.close_connection = True
            return
        if not self.allowed():
            return
        with state.lock:
            state.reached += 1
            state.asked.append(body)
            state.busy += 1
            state.busiest = max(state.busiest, state.busy)
            fault = state.faults.pop(0) if state.faults else state.always
        try:
            time.sleep(state.delay)
            answer = state.answer(self.path, body)
            if fault is None or not fault(self, answer):
                self.send_json(200, answer)
        finally:
            with state.lock:
                state.busy -= 1


@contextmanager
def running(**fields: Any) -> Iterator[Faulty]:
    """A server that runs until the block ends."""
    state = Faulty(**fields)
    handler = type("Handler", (Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # clients that hang up are the point
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.gone = True
        server.shutdown()
        server.server_close()
        thread.join()


# Faults ------------------------------------------------------------------------------------------


def status(code: int, message: str = "not now", **headers: str) -> Fault:
    """Turned away; a client that waits as long as it is told tries again soon."""

    def spoil(handler: Handler, _: dict[str, Any]) -> bool:
        error = {"error": {"message": message}}
        handler.send_json(code, error, **{"Retry_After_Ms": "5", **headers})
        return True

    return spoil


def hang(seconds: float) -> Fault:
    """No answer for a while."""

    def spoil(handler: Handler, _: dict[str, Any]) -> bool:
        time.sleep(seconds)
        handler.close_connection = True
        return True

    return spoil


def truncated(handler: Handler, answer: dict[str, Any]) -> bool:
    """Half of the JSON, which says that it is whole."""
    body = json.dumps(answer).encode()
    handler.send(200, body[: len(body) // 2])
    return True


def torn(handler: Handler, answer: dict[str, Any]) -> bool:
    """Half of the JSON; the connection ends in it."""
    body = json.dumps(answer).encode()
    handler.send(200, body[: len(body) // 2], Content_Length=str(len(body)))
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.close()
    return True


def changed(**fields: Any) -> Fault:
    """Another value of a field of the answer, or, where it has none of this name, of the choice."""

    def spoil(_: Handler, answer: dict[str, Any]) -> bool:
        for name, value in fields.items():
            place = answer if name in answer else answer["choices"][0]
            place[name] = value
        return False

    return spoil


def dropped(name: str) -> Fault:
    """A field of the choice is left out."""

    def spoil(_: Handler, answer: dict[str, Any]) -> bool:
        del answer["choices"][0][name]
        return False

    return spoil


def repeats_key(handler: Handler, answer: dict[str, Any]) -> bool:
    """The answer holds what the client sent as its key."""
    answer["echo"] = {"sent": [handler.headers.get("Authorization")]}
    return False
