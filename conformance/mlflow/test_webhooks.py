"""Webhooks of the registry: made, signed, delivered and tested as MLflow does, checked with MLflow's own signature."""

import http.server
import json
import queue
import threading

import pytest
from mlflow.entities.webhook import WebhookStatus
from mlflow.exceptions import MlflowException
from mlflow.webhooks.delivery import _generate_hmac_signature


@pytest.fixture
def receiver():
    calls = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"thanks")
            calls.put((dict(self.headers), body))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", calls
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhooks(client, receiver):
    url, calls = receiver
    events = ["registered_model.created", "model_version_alias.created", "prompt.created", "prompt_version.created"]
    hook = client.create_webhook(name="mine", url=url, events=events, secret="s3cret", description="tells")
    assert [str(e) for e in hook.events] == events and hook.status == WebhookStatus.ACTIVE and hook.secret is None
    result = client.test_webhook(hook.webhook_id, event="prompt.created")
    assert result.success and result.response_status == 200 and result.response_body == "thanks"
    assert json.loads(calls.get(timeout=60)[1])["data"]["name"] == "example_prompt"
    client.create_registered_model("told", tags={"a": "b"}, description="d")
    headers, body = calls.get(timeout=60)
    sent = json.loads(body)
    assert (sent["entity"], sent["action"]) == ("registered_model", "created")
    assert sent["data"] == {"name": "told", "tags": {"a": "b"}, "description": "d"} and sent["timestamp"].endswith("+00:00")
    assert headers["X-Mlflow-Signature"] == _generate_hmac_signature("s3cret", headers["X-Mlflow-Delivery-Id"], headers["X-Mlflow-Timestamp"], body)
    client.register_prompt(name="told-prompt", template="hi")
    got = [json.loads(calls.get(timeout=60)[1]) for _ in range(2)]
    assert [g["entity"] for g in got] == ["prompt", "prompt_version"] and got[1]["data"]["template"] == "hi"
    changed = client.update_webhook(hook.webhook_id, name="renamed", status="DISABLED", events=["model_version.created"])
    assert changed.name == "renamed" and changed.status == WebhookStatus.DISABLED and [str(e) for e in changed.events] == ["model_version.created"]
    assert client.get_webhook(hook.webhook_id).description == "tells"
    assert [w.name for w in client.list_webhooks()] == ["renamed"]
    client.create_registered_model("silent")
    client.delete_webhook(hook.webhook_id)
    with pytest.raises(MlflowException) as e:
        client.get_webhook(hook.webhook_id)
    assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST" and calls.empty()
    for bad in ({"name": "bad name"}, {"url": "ftp://x/"}, {"events": ["budget_policy.exceeded"]}):
        with pytest.raises(MlflowException) as e:
            client.create_webhook(**{"name": "x", "url": url, "events": ["prompt.created"], **bad})
        assert e.value.error_code == "INVALID_PARAMETER_VALUE"
