"""Traces, assessments and OTLP: the stock client and the stock OpenTelemetry exporters."""

import asyncio
import gzip
import json
import time
import urllib.error
import urllib.request

import mlflow
import pytest
import requests
from mlflow.entities import AssessmentSource, SpanEvent, SpanType
from mlflow.exceptions import MlflowException


@mlflow.trace(span_type=SpanType.CHAIN, attributes={"plan": {"steps": 2, "ratio": 1.0}})
def answer(question):
    with mlflow.start_span("search", span_type=SpanType.RETRIEVER) as s:
        s.set_inputs({"q": question})
        s.set_outputs([{"page_content": "Paris", "metadata": {"score": 0.5}}])
        s.add_event(SpanEvent("looked", attributes={"pages": 3}))
    return ask(question)


@mlflow.trace(span_type=SpanType.LLM)
def ask(question):
    span = mlflow.get_current_active_span()
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12})
    span.set_attribute("model", "gpt-large")
    return {"answer": "Paris", "to": question}


@mlflow.trace
def fails():
    raise ValueError("no such city")


def traced(question="capital of France?"):
    answer(question)
    return flushed()


def flushed():
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()


def found(experiment, filter_string=None, **more):
    return mlflow.search_traces(locations=[experiment.experiment_id], filter_string=filter_string, return_type="list", **more)


def ids(traces):
    return {t.info.trace_id for t in traces}


def test_whole_trace(experiment):
    tid = traced("was heißt 'ä'?")
    t = mlflow.get_trace(tid)
    assert t.info.experiment_id == experiment.experiment_id
    assert t.info.state == "OK" and t.info.execution_duration >= 0
    assert "was heißt" in t.info.request_preview
    assert t.info.token_usage == {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    by = {s.name: s for s in t.data.spans}
    assert set(by) == {"answer", "search", "ask"}
    root = by["answer"]
    assert root.parent_id is None and by["search"].parent_id == root.span_id
    assert t.data.spans[0].name == "answer"
    assert root.inputs == {"question": "was heißt 'ä'?"} and root.outputs == {"answer": "Paris", "to": "was heißt 'ä'?"}
    assert root.get_attribute("plan") == {"steps": 2, "ratio": 1.0}
    assert by["search"].span_type == "RETRIEVER"
    assert by["search"].events[0].name == "looked" and by["search"].events[0].attributes == {"pages": 3}
    assert by["search"].outputs[0]["metadata"]["score"] == 0.5
    assert root.start_time_ns <= by["search"].start_time_ns <= root.end_time_ns


def test_errors_and_async(experiment):
    with pytest.raises(ValueError):
        fails()
    bad = mlflow.get_trace(flushed())
    assert bad.info.state == "ERROR"
    assert bad.data.spans[0].status.description == "ValueError: no such city"
    event = bad.data.spans[0].events[0]
    assert event.name == "exception" and event.attributes["exception.message"] == "no such city"

    @mlflow.trace
    async def one(i):
        await asyncio.sleep(0)
        return i

    @mlflow.trace
    async def many():
        return sum(await asyncio.gather(*(one(i) for i in range(10))))

    assert asyncio.run(many()) == 45
    t = mlflow.get_trace(flushed())
    assert len(t.data.spans) == 11 and {s.parent_id for s in t.data.spans[1:]} == {t.data.spans[0].span_id}
    assert ids(found(experiment, "trace.status = 'ERROR'")) == {bad.info.trace_id}


def test_search(experiment):
    tids = []
    for i in range(5):
        tids.append(traced(f"question {i}"))
        mlflow.set_trace_tag(tids[-1], "env", "prod" if i % 2 else "dev")
        mlflow.set_trace_tag(tids[-1], "n", str(i))
    with pytest.raises(ValueError):
        fails()
    broken = flushed()
    assert [t.info.trace_id for t in found(experiment)] == [broken, *reversed(tids)]
    assert [t.info.trace_id for t in found(experiment, order_by=["timestamp_ms ASC"], max_results=3)] == tids[:3]
    assert ids(found(experiment, "tag.env = 'prod'")) == {tids[1], tids[3]}
    assert ids(found(experiment, "tags.env LIKE 'p%' AND trace.status = 'OK'")) == {tids[1], tids[3]}
    assert ids(found(experiment, "tag.env IS NULL")) == {broken}
    assert ids(found(experiment, "tag.n RLIKE '^[34]$'")) == {tids[3], tids[4]}
    assert ids(found(experiment, "trace.name = 'fails'")) == {broken}
    assert ids(found(experiment, "name IN ('fails', 'other')")) == {broken}
    assert ids(found(experiment, "span.name = 'search' AND span.type = 'RETRIEVER'")) == set(tids)
    assert not found(experiment, "span.name = 'search' AND span.type = 'LLM'")
    assert ids(found(experiment, "span.status = 'ERROR'")) == {broken}
    assert ids(found(experiment, "span.attributes.model LIKE '%large%'")) == set(tids)
    assert ids(found(experiment, "trace.text ILIKE '%QUESTION 2%'")) == {tids[2]}
    assert ids(found(experiment, "metadata.`mlflow.source.type` = 'LOCAL'")) == {*tids, broken}
    first = mlflow.get_trace(tids[0]).info
    assert ids(found(experiment, f"timestamp_ms <= {first.request_time}")) == {tids[0]}
    assert len(found(experiment, "execution_time_ms >= 0")) == 6
    assert ids(found(experiment, f"request_id = '{tids[4]}'")) == {tids[4]}
    frame = mlflow.search_traces(locations=[experiment.experiment_id], max_results=2)
    assert list(frame["trace_id"]) == [broken, tids[4]]
    pages, token = [], None
    client = mlflow.MlflowClient()
    while True:
        page = client.search_traces(locations=[experiment.experiment_id], max_results=2, page_token=token)
        pages.append([t.info.trace_id for t in page])
        token = page.token
        if not token:
            break
    assert [len(p) for p in pages] == [2, 2, 2] and sum(pages, []) == [broken, *reversed(tids)]
    for bad in ["nothing = 'x'", "tag.a RLIKE '('", "trace.status >", "span.size = 'x'"]:
        with pytest.raises(MlflowException, match="filter"):
            found(experiment, bad)


def test_tags_and_deletion(experiment):
    tids = [traced() for _ in range(3)]
    mlflow.set_trace_tag(tids[0], "fruit", "äpple")
    assert mlflow.get_trace(tids[0]).info.tags["fruit"] == "äpple"
    mlflow.delete_trace_tag(tids[0], "fruit")
    assert "fruit" not in mlflow.get_trace(tids[0]).info.tags
    with pytest.raises(MlflowException):
        mlflow.delete_trace_tag(tids[0], "fruit")
    client = mlflow.MlflowClient()
    assert client.delete_traces(experiment.experiment_id, trace_ids=[tids[1], "tr-none"]) == 1
    assert ids(found(experiment)) == {tids[0], tids[2]}
    assert client.delete_traces(experiment.experiment_id, max_timestamp_millis=int(time.time() * 1000), max_traces=1) == 1
    assert ids(found(experiment)) == {tids[2]}
    assert client.delete_traces(experiment.experiment_id, max_timestamp_millis=int(time.time() * 1000) + 1000) == 1
    assert not found(experiment)
    for tid in tids:
        with pytest.raises(MlflowException):
            client.get_trace(tid)
        with pytest.raises(MlflowException):
            mlflow.log_feedback(trace_id=tid, name="late", value=1)
    # They wait in the trash; one that is brought back is whole.
    requests.post(f"{mlflow.get_tracking_uri()}/api/v1/trash/restore", json={"ids": [f"trace:{tids[0]}"]}, timeout=30).raise_for_status()
    assert ids(found(experiment)) == {tids[0]} and client.get_trace(tids[0]).data.spans
    # What was purged is gone from the trash too, and its name is free: the exporter may send it again.
    assert client.delete_traces(experiment.experiment_id, trace_ids=[tids[0]]) == 1
    requests.post(f"{mlflow.get_tracking_uri()}/api/v1/trash/purge", json={"ids": [f"trace:{tids[0]}"]}, timeout=30).raise_for_status()
    with pytest.raises(MlflowException):
        client.get_trace(tids[0])
    again = traced()
    assert ids(found(experiment)) == {again}


def test_assessments(experiment):
    tid, other = traced("a"), traced("b")
    human = AssessmentSource(source_type="HUMAN", source_id="ann@example.com")
    good = mlflow.log_feedback(trace_id=tid, name="good", value=True, rationale="it is", source=human, metadata={"room": "1"})
    assert good.assessment_id.startswith("a-") and good.valid
    score = mlflow.log_feedback(trace_id=tid, name="score", value=0.75)
    mlflow.log_feedback(trace_id=other, name="score", value=0.25)
    mlflow.log_feedback(trace_id=other, name="verdict", value="no", span_id=mlflow.get_trace(other).data.spans[1].span_id)
    failed = mlflow.log_feedback(trace_id=tid, name="judge", error=ValueError("no answer"))
    assert failed.error.error_message == "no answer"
    plain = mlflow.log_expectation(trace_id=tid, name="expected", value="Paris")
    nested = mlflow.log_expectation(trace_id=tid, name="facts", value={"capital": ["Paris", 1]})
    assert mlflow.get_assessment(tid, plain.assessment_id).value == "Paris"
    assert mlflow.get_assessment(tid, nested.assessment_id).value == {"capital": ["Paris", 1]}
    assert {a.name for a in mlflow.get_trace(tid).info.assessments} == {"good", "score", "judge", "expected", "facts"}
    assert mlflow.get_trace(other).search_assessments("verdict")[0].span_id

    changed = mlflow.update_assessment(tid, score.assessment_id, mlflow.entities.Feedback(name="score", value=0.9, rationale="better", metadata={"by": "hand"}))
    assert changed.value == 0.9 and changed.rationale == "better" and changed.assessment_id == score.assessment_id
    over = mlflow.override_feedback(trace_id=tid, assessment_id=good.assessment_id, value=False, rationale="it is not")
    assert over.overrides == good.assessment_id
    assert mlflow.get_assessment(tid, good.assessment_id).valid is False

    assert ids(found(experiment, "feedback.score > 0.5")) == {tid}
    assert ids(found(experiment, "feedback.score <= 0.25")) == {other}
    assert ids(found(experiment, "feedback.verdict = 'no'")) == {other}
    assert ids(found(experiment, "feedback.good = 'false'")) == {tid}
    assert not found(experiment, "feedback.good = 'true'")
    assert ids(found(experiment, "expectation.expected = 'Paris'")) == {tid}
    assert ids(found(experiment, "feedback.verdict IS NULL")) == {tid}
    assert ids(found(experiment, "expectation.facts IS NOT NULL")) == {tid}

    mlflow.delete_assessment(tid, over.assessment_id)
    assert mlflow.get_assessment(tid, good.assessment_id).valid is True
    with pytest.raises(MlflowException, match="not found"):
        mlflow.get_assessment(tid, over.assessment_id)
    with pytest.raises(MlflowException, match="not found"):
        mlflow.log_feedback(trace_id="tr-" + "0" * 31 + "1", name="x", value=1)


def test_runs_prompts_and_sessions(experiment, client):
    with mlflow.start_run() as run:
        inside = traced("inside")
    outside = traced("outside")
    assert mlflow.get_trace(inside).info.trace_metadata["mlflow.sourceRun"] == run.info.run_id
    with mlflow.start_run() as second:
        pass
    client.link_traces_to_run([outside], second.info.run_id)
    assert ids(found(experiment, f"run_id = '{second.info.run_id}'")) == {outside}
    assert ids(mlflow.search_traces(run_id=run.info.run_id, locations=[experiment.experiment_id], return_type="list")) == {inside}
    mlflow.genai.register_prompt(name="ask-" + experiment.experiment_id, template="{{q}}?")

    @mlflow.trace
    def with_prompt():
        mlflow.update_current_trace(tags={"t": "1"}, metadata={"mlflow.trace.session": "s-1", "mlflow.trace.user": "ann"}, client_request_id="req-9")
        return mlflow.genai.load_prompt(f"prompts:/ask-{experiment.experiment_id}/1").format(q="why")

    with_prompt()
    tid = flushed()
    info = mlflow.get_trace(tid).info
    assert info.client_request_id == "req-9" and info.tags["t"] == "1" and info.trace_metadata["mlflow.trace.session"] == "s-1"
    assert ids(found(experiment, "metadata.`mlflow.trace.session` = 's-1'")) == {tid}
    assert ids(found(experiment, "client_request_id = 'req-9'")) == {tid}
    for _ in range(1200):  # a minute at most
        if found(experiment, f"prompt = 'ask-{experiment.experiment_id}/1'"):
            break
        time.sleep(0.05)
    assert ids(found(experiment, f"prompt = 'ask-{experiment.experiment_id}/1'")) == {tid}


def test_manual_spans(experiment, client):
    root = client.start_trace("job", inputs={"n": 1}, tags={"kind": "manual"})
    child = client.start_span("step", trace_id=root.trace_id, parent_id=root.span_id, inputs=[1, 2])
    client.end_span(root.trace_id, child.span_id, outputs="done", status="ERROR")
    client.end_trace(root.trace_id, outputs={"ok": True})
    mlflow.flush_trace_async_logging()
    t = mlflow.get_trace(root.trace_id)
    assert t.info.tags["kind"] == "manual" and [s.name for s in t.data.spans] == ["job", "step"]
    assert t.data.spans[1].status.status_code == "ERROR" and t.data.spans[1].outputs == "done"
    mlflow.log_trace(name="one shot", request="q", response="a", intermediate_outputs={"k": 1})
    mlflow.flush_trace_async_logging()
    assert len(found(experiment)) == 2


def test_a_killed_server_keeps_traces(server, experiment):
    tid = traced()
    server.kill_and_restart()
    assert len(mlflow.get_trace(tid).data.spans) == 3


def test_older_protocol(server, experiment):
    """What a 2.x client sends: start, end, and the spans as a file."""

    def call(method, path, body=None, base="/api/2.0/mlflow/"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        r = urllib.request.Request(server.url + base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(r) as f:
            return json.loads(f.read() or b"{}")

    started = call("POST", "traces", {"experiment_id": experiment.experiment_id, "timestamp_ms": 1700000000123, "request_metadata": [{"key": "mlflow.traceInputs", "value": "{\"x\": 1}"}], "tags": [{"key": "mlflow.traceName", "value": "old"}]})["trace_info"]
    rid = started["request_id"]
    assert started["status"] == "IN_PROGRESS" and rid.startswith("tr-")
    ended = call("PATCH", f"traces/{rid}", {"timestamp_ms": 1700000001123, "status": "OK", "request_metadata": [], "tags": []})["trace_info"]
    assert ended["execution_time_ms"] == 1000 and ended["status"] == "OK"
    location = {t["key"]: t["value"] for t in ended["tags"]}["mlflow.artifactLocation"].removeprefix("mlflow-artifacts:/")
    span = {
        "name": "old", "context": {"span_id": "0x1122334455667788", "trace_id": "0x01"}, "parent_id": None, "start_time": 1700000000123000000, "end_time": 1700000001123000000,
        "status_code": "OK", "status_message": "", "attributes": {"mlflow.spanType": '"TOOL"', "mlflow.spanInputs": '{"x": 1}'}, "events": [],
    }
    file = json.dumps({"spans": [span], "request": "{}", "response": "{}"}).encode()
    call("PUT", f"artifacts/{location}/traces.json", file, "/api/2.0/mlflow-artifacts/")
    assert call("GET", f"artifacts/{location}/traces.json", None, "/api/2.0/mlflow-artifacts/")["spans"][0]["name"] == "old"
    assert call("GET", f"traces/{rid}/info")["trace_info"]["request_id"] == rid
    got = call("GET", f"traces?experiment_ids={experiment.experiment_id}&filter=name%3D%27old%27")["traces"]
    assert [t["request_id"] for t in got] == [rid]
    t = mlflow.get_trace(rid)
    assert t.data.spans[0].inputs == {"x": 1} and t.data.spans[0].span_type == "TOOL"
    call("PATCH", f"traces/{rid}/tags", {"key": "a", "value": "b"})
    call("DELETE", f"traces/{rid}/tags", {"key": "a"})
    assert call("POST", "traces/delete-traces", {"experiment_id": experiment.experiment_id, "request_ids": [rid]}) == {"traces_deleted": 1}


def otel(exporter):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("order", attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4, "tags": ["a", "b"], "rate": 2.0}) as root:
        with tracer.start_as_current_span("pay") as span:
            span.add_event("tried", {"n": 1})
            span.record_exception(RuntimeError("declined"))
        tid = "tr-" + format(root.get_span_context().trace_id, "032x")
    provider.shutdown()
    return tid


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_plain_otlp_protobuf(server, experiment, compression):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    tid = otel(OTLPSpanExporter(endpoint=server.url + "/v1/traces", headers={"x-mlflow-experiment-id": experiment.experiment_id}, compression=Compression(compression)))
    t = mlflow.get_trace(tid)
    assert t.info.state == "OK" and t.info.tags["service.name"] == "shop"
    assert t.info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    root, pay = t.data.spans
    assert (root.name, root.span_type) == ("order", "CHAT_MODEL")
    assert root.get_attribute("tags") == ["a", "b"] and root.get_attribute("rate") == 2.0
    assert [e.name for e in pay.events] == ["tried", "exception"]
    assert ids(found(experiment, "trace.name = 'order' AND span.name = 'pay'")) == {tid}


def test_plain_otlp_json(server, experiment):
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "parentSpanId": "", "name": "hello", "kind": 2,
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661500000000, "status": {"code": 2, "message": "broken"},
        "attributes": [
            {"key": "s", "value": {"stringValue": "x"}}, {"key": "i", "value": {"intValue": "5"}}, {"key": "d", "value": {"doubleValue": 1}},
            {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": True}]}}}, {"key": "o", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
        ],
        "events": [{"timeUnixNano": "1544712660300000000", "name": "ev"}],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175"}],
    }
    lost = {**span, "spanId": "123", "name": "lost"}
    body = gzip.compress(json.dumps({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [span, lost]}]}]}).encode())

    def post(body, **headers):
        r = urllib.request.Request(server.url + "/v1/traces", body, {"Content-Type": "application/json", "x-mlflow-experiment-id": experiment.experiment_id, **headers})
        with urllib.request.urlopen(r) as f:
            return json.loads(f.read())

    assert post(body, **{"Content-Encoding": "gzip"})["partialSuccess"]["rejectedSpans"] == "1"
    t = mlflow.get_trace("tr-5b8efff798038103d269b633813fc60c")
    assert t.info.state == "ERROR" and t.info.execution_duration == 1500
    s = t.data.spans[0]
    assert (s.name, s.status.description) == ("hello", "broken")
    assert [s.get_attribute(k) for k in "sidlo"] == ["x", 5, 1.0, [True], {"k": 1}]
    assert s.links[0].span_id.endswith("eee19b7ec3c1b175")
    for bad, status in [(b"{", 400), (b"{}", 400), (b'{"resourceSpans":5}', 400)]:
        with pytest.raises(urllib.error.HTTPError) as e:
            post(bad)
        assert e.value.code == status
    with pytest.raises(urllib.error.HTTPError) as e:
        post(gzip.compress(b" " * (70 << 20)), **{"Content-Encoding": "gzip"})
    assert e.value.code == 413


def test_genai_evaluate(experiment):
    from mlflow.genai.scorers import scorer

    @scorer
    def exact(outputs, expectations):
        return outputs == expectations["expected_response"]

    result = mlflow.genai.evaluate(
        data=[{"inputs": {"q": "a"}, "expectations": {"expected_response": "A"}}, {"inputs": {"q": "b"}, "expectations": {"expected_response": "C"}}],
        predict_fn=lambda q: q.upper(),
        scorers=[exact],
    )
    assert result.metrics["exact/mean"] == 0.5
    traces = mlflow.search_traces(run_id=result.run_id, locations=[experiment.experiment_id], return_type="list")
    assert len(traces) == 2
    assert ids(found(experiment, "feedback.exact = 'true'")) <= ids(traces)
