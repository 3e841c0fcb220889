"""What the server does when it is not all well: who hangs up, too many requests, deadlines, failures, SIGTERM, keys."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.deploy.serve.app import ServerSettings
from llm.deploy.serve.server import listening, parser
from llm.errors import InputError
from llm.inference.attention import BLOCK
from llm.inference.engine import Engine, EngineSettings
from llm.inference.scheduler import Limits
from tests.llm.deploy.serve.plain_requests import post

ROOT = Path(__file__).resolve().parents[4]


def held(url: str) -> int:
    return sum(each["running"] + each["waiting"] for each in httpx.get(f"{url}/stats").json().values())


def wait_until_idle(url: str) -> None:
    while held(url):
        time.sleep(0.02)
    assert all(each["kv_blocks_held"] == 0 for each in httpx.get(f"{url}/stats").json().values())


def test_who_hangs_up_frees_everything(serving) -> None:
    """While it waits, in its prompt, in the middle of a stream, and before a whole answer."""
    settings = ServerSettings(EngineSettings(limits=Limits(token_budget=16, max_sequences=2)))
    body = {"prompt": [9] * 120, "max_tokens": 130, "ignore_eos": True, "temperature": 1.0}
    with serving(settings) as url:
        for stream in (True, False):
            for timeout in (0.05, 0.2):
                threads = [
                    threading.Thread(target=hang_up, args=(url, body | {"stream": stream}, timeout)) for _ in range(6)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        wait_until_idle(url)
        assert httpx.get(f"{url}/stats").json()["base"]["cancelled"] > 0
        assert post(url, "/v1/completions", {"prompt": "x", "max_tokens": 2}).status_code == 200


def hang_up(url: str, body: dict, seconds: float) -> None:
    try:
        with httpx.stream(
            "POST", f"{url}/v1/completions", json=body, timeout=httpx.Timeout(60, read=seconds)
        ) as answer:
            next(answer.iter_lines())
    except (httpx.ReadTimeout, StopIteration):
        pass


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("attacker.example", False),
        ("127.0.0.1.attacker.example:8000", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_another_name_for_this_machine_is_refused_without_a_key(url, host: str, answered: bool) -> None:
    """A page of attacker.example whose name came to lead here could read answers, and the report, as its own."""
    answer = httpx.get(f"{url}/v1/models", headers={"Host": host})
    assert answer.status_code == (200 if answered else 421)
    assert answered or "answers to localhost alone" in answer.json()["error"]["message"]


def test_with_a_key_any_name_will_do(serving) -> None:
    with serving(ServerSettings(key="sesame")) as url:
        headers = {"Host": "models.example", "Authorization": "Bearer sesame"}
        assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("declared", "key", "status"), [(True, "sesame", 413), (False, "sesame", 413), (True, "x", 401)]
)
def test_who_is_refused_while_sending_gets_the_answer(serving, declared: bool, key: str, status: int) -> None:
    """A connection closed with unread bytes would be reset, and the answer on its way lost."""
    with serving(ServerSettings(max_body=1_000_000, key="sesame")) as url:
        host, port = url.removeprefix("http://").split(":")
        length = "Content-Length: 8000000" if declared else "Transfer-Encoding: chunked"
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{length}\r\n\r\n"
        piece = b" " * 100_000
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head.encode())
            for n in range(80):
                connection.sendall(piece if declared else b"186a0\r\n" + piece + b"\r\n")
                if n < 3:
                    time.sleep(0.1)  # the server could have answered and closed by now
            if not declared:
                connection.sendall(b"0\r\n\r\n")
            answer = connection.recv(100)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_limits(serving) -> None:
    settings = ServerSettings(EngineSettings(limits=Limits(max_sequences=1)), max_open=3, max_body=10_000, key="sesame")
    key = {"Authorization": "Bearer sesame"}
    slow = {"prompt": "x", "max_tokens": 200, "ignore_eos": True, "stream": True}
    with serving(settings) as url:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert post(url, "/v1/completions", {"prompt": "x"}, headers=headers).status_code == 401
        assert httpx.get(f"{url}/health").status_code == 200
        large = {"prompt": "x" * 20_000}
        assert post(url, "/v1/completions", large, headers=key).status_code == 413
        pieces = (b" " * 1000 for _ in range(20))  # without a length
        chunked = httpx.post(f"{url}/v1/completions", content=pieces, headers=key, timeout=60)
        assert chunked.status_code == 413
        with (
            httpx.stream("POST", f"{url}/v1/completions", json=slow | {"n": 1}, headers=key, timeout=60) as first,
            httpx.stream("POST", f"{url}/v1/completions", json=slow, headers=key, timeout=60) as second,
            httpx.stream("POST", f"{url}/v1/completions", json=slow, headers=key, timeout=60) as third,
        ):
            assert {first.status_code, second.status_code, third.status_code} == {200}
            refused = post(url, "/v1/completions", {"prompt": "x"}, headers=key)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        while post(url, "/v1/completions", {"prompt": "x", "max_tokens": 1}, headers=key).status_code == 429:
            time.sleep(0.02)


def test_a_deadline_ends_an_answer(serving) -> None:
    with serving(ServerSettings(seconds=0.01)) as url:
        body = {"prompt": "x", "max_tokens": 200, "ignore_eos": True}
        assert post(url, "/v1/completions", body).status_code == 504
        streamed = post(url, "/v1/completions", body | {"stream": True}).text
        assert "not finished within 0.01 seconds" in streamed
        wait_until_idle(url)


def test_a_failed_engine_says_so(serving, monkeypatch) -> None:
    """To whoever waited, and to all that come later; nothing stays open."""

    def fail(_: Engine) -> None:
        raise MemoryError("no memory is left")

    with serving(ServerSettings(max_open=2)) as url:
        never = post(url, "/v1/completions", {"prompt": ["x"] * 3, "max_tokens": 1})
        assert never.status_code == 400 and "3 completions in one call" in never.json()["error"]["message"]
        monkeypatch.setattr(Engine, "step", fail)
        for _ in range(3):
            answer = post(url, "/v1/completions", {"prompt": "x", "n": 2})
            assert answer.status_code == 503 and "no memory is left" in answer.json()["error"]["message"]
            streamed = post(url, "/v1/completions", {"prompt": "x", "n": 2, "stream": True}).text
            assert json.loads(streamed.removeprefix("data: "))["error"]["code"] == 503
        assert httpx.get(f"{url}/health").status_code == 503


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda tensors: {name: each.T.contiguous() for name, each in tensors.items()},
            "their rank is not the con",
        ),
        (lambda tensors: {name: each[..., :4].contiguous() for name, each in tensors.items()}, "made on another model"),
        (lambda tensors: {name: each.to(torch.int32) for name, each in tensors.items()}, "in torch.int32"),
        (lambda tensors: dict(list(tensors.items())[1:]), "is no update of a linear layer"),
        (lambda tensors: {name.replace("layers.0", "layers.9"): each for name, each in tensors.items()}, "layers.9"),
        (lambda tensors: {"base_model.model.score.weight": torch.ones(1), **tensors}, "score.weight is no update"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_alone(damage, said, directories, serving, tmp_path) -> None:
    tensors = load_file(directories["tuned"] / "adapter_model.safetensors")
    save_file(damage(tensors), tmp_path / "adapter_model.safetensors")
    config = json.loads((directories["tuned"] / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = os.path.relpath(directories["base"], tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with serving(models=directories | {"wrong": tmp_path}) as url:
        for _ in range(2):
            refused = post(url, "/v1/completions", {"prompt": "x", "model": "wrong"})
            assert refused.status_code == 400 and said in refused.json()["error"]["message"]
            for model in ("base", "tuned"):
                assert post(url, "/v1/completions", {"prompt": "x", "model": model}).status_code == 200


def test_sigterm_lets_answers_finish(directories) -> None:
    """The process of make serve: prints its address, serves, on SIGTERM refuses the new and ends what runs."""
    command = [sys.executable, "-m", "llm.deploy.serve.server", f"base={directories['base']}", "--port", "0"]
    environment = os.environ | {"STEMMA_API_KEY": ""}
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert server.stdout is not None
    said = server.stdout.readline()
    assert said.endswith("serves base\n")
    url = said.split("/  ")[0]
    with httpx.Client(limits=httpx.Limits(max_connections=1, keepalive_expiry=60), timeout=60) as idle:
        first = idle.get(f"{url}/health").extensions["network_stream"].get_extra_info("client_addr")
        time.sleep(5.5)  # as long as clients keep a connection, and a little longer
        kept = idle.get(f"{url}/health").extensions["network_stream"].get_extra_info("client_addr")
    assert kept == first
    body = {"prompt": "x", "max_tokens": 200, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.send_signal(signal.SIGTERM)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert rest[-1]["choices"][0]["finish_reason"] == "length"
    _, logged = server.communicate(timeout=60)
    assert server.returncode in (0, -signal.SIGTERM)
    row = json.loads(logged.splitlines()[0])
    assert row.keys() == {"method", "path", "status", "ms"} and row["status"] == 200
    with pytest.raises(httpx.ConnectError):
        post(url, "/v1/completions", body)


def test_openness_needs_a_key(directories) -> None:
    command = [sys.executable, "-m", "llm.deploy.serve.server", f"base={directories['base']}", "--host", "0.0.0.0"]
    environment = {name: value for name, value in os.environ.items() if name != "STEMMA_API_KEY"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1 and "STEMMA_API_KEY" in done.stderr


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no.such.host.invalid", 0)])
def test_an_address_that_cannot_be_had_is_one_line(host: str, port: int) -> None:
    with pytest.raises(InputError, match=rf"^{host}, port {port}: .*; name another by --host and --port") as caught:
        listening(host, port)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_taken_is_one_line() -> None:
    with listening("127.0.0.1", 0) as first, pytest.raises(InputError, match="Address already in use; name another"):
        listening("127.0.0.1", first.getsockname()[1])


def test_loopback_of_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with listening("::1", 0) as found:
        assert found.getsockname()[0] == "::1"


@pytest.mark.parametrize("option", ["--kv-mib", "--token-budget", "--max-sequences", "--max-open"])
def test_numbers_below_one_are_refused(option: str, capsys) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([option, "0"])
    assert f"argument {option}: 0 is less than 1" in capsys.readouterr().err


def test_a_chat_without_a_limit_takes_what_the_cache_has_room_for(serving) -> None:
    """Which is less than the model's context here; one that asks for more than that is told so."""
    body = {"model": "base", "messages": [{"role": "user", "content": "hello"}], "ignore_eos": True}
    with serving(ServerSettings(EngineSettings(kv_bytes=2**15))) as url:
        answer = post(url, "/v1/chat/completions", body)
        more = post(url, "/v1/chat/completions", body | {"max_tokens": 200})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["total_tokens"] < 256 and answer.json()["usage"]["total_tokens"] % BLOCK == 0
    assert more.status_code == 400 and "kv_bytes" in more.json()["error"]["message"]
