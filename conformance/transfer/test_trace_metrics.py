"""The same traces on a real MLflow server and on ours: every question about their metrics gets the same answer."""

import itertools
import json
import math
import urllib.error
import urllib.request

import mlflow
import pytest

T0 = 1_700_000_000_000  # ms
MINUTE = 60_000


def request(url, path, body, **headers):
    r = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(r) as f:
            return f.status, json.loads(f.read() or b"{}")
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}}


def spans(n):
    """Trace number n: three spans, one of which fails now and then and one of which has costs and tokens."""
    tid, start = f"{n + 1:032x}", (T0 + n * 17_000) * 1_000_000

    def span(i, parent, name, kind, begin, took, ok=True, **more):
        return {
            "traceId": tid, "spanId": f"{n * 10 + i + 1:016x}", "parentSpanId": f"{n * 10 + parent:016x}" if parent else "", "name": name,
            "startTimeUnixNano": str(start + begin), "endTimeUnixNano": str(start + begin + took), "status": {"code": 1 if ok else 2},
            "attributes": [attribute("mlflow.spanType", kind), *(attribute("mlflow." + k.replace("_", "."), v) for k, v in more.items())],
        }

    llm = {"llm_model": "large" if n % 3 else "small", "llm_provider": "house"} if n % 4 else {}
    if n % 4:
        llm["llm_cost"] = {"input_cost": 0.001 * n, "output_cost": 0.002 * n, "total_cost": 0.003 * n}
        llm["chat_tokenUsage"] = {"input_tokens": 10 + n, "output_tokens": n, "total_tokens": 10 + 2 * n, **({"cache_read_input_tokens": n} if n % 5 == 0 else {})}
    return [
        span(0, 0, "answer" if n % 2 else "ask", "CHAIN", 0, 100_000_000 + n * 3_700_001, ok=n % 6 != 0),
        span(1, 1, "search", "RETRIEVER", 1_000_000, 1_999_999 + n * 1_000),
        span(2, 1, "llm", "LLM", 3_000_000, 50_000_000 + n, ok=n % 6 != 0, **llm),
    ]


def fill(url):
    client = mlflow.MlflowClient(url)
    exp = client.create_experiment("trace metrics")
    session = {}
    for n in range(24):
        body = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": spans(n)}]}]}
        status, reply = request(url, "/v1/traces", body, **{"x-mlflow-experiment-id": exp})
        assert status == 200, reply
        tid = f"tr-{n + 1:032x}"
        client.set_trace_tag(tid, "mlflow.traceName", "answer" if n % 2 else "ask")  # ours takes it from the root span, theirs does not
        client.set_trace_tag(tid, "env", "prod" if n % 2 else "dev")
        client.set_trace_tag(tid, "odd key", str(n % 3))
        for name, value in [("good", n % 2 == 0), ("score", n / 8), ("verdict", "yes" if n % 3 else "no"), ("text", "grün"), ("list", [1, {"a": 2.5}])]:
            status, reply = request(url, f"/api/3.0/mlflow/traces/{tid}/assessments", {"assessment": {"assessment_name": name, "trace_id": tid, "source": {"source_type": "HUMAN", "source_id": "ann"}, "feedback": {"value": value}}})
            assert status == 200, reply
        if n % 5 == 0:
            request(url, f"/api/3.0/mlflow/traces/{tid}/assessments", {"assessment": {"assessment_name": "expected", "trace_id": tid, "source": {"source_type": "HUMAN", "source_id": "ann"}, "expectation": {"value": "x"}}})
            old = client.get_trace(tid).search_assessments("score")[0].assessment_id
            request(url, f"/api/3.0/mlflow/traces/{tid}/assessments", {"assessment": {"assessment_name": "score", "trace_id": tid, "source": {"source_type": "HUMAN", "source_id": "bob"}, "feedback": {"value": 9}, "overrides": old}})
        if n % 4 == 1:
            info = client.get_trace(tid).info.to_dict()
            info["trace_metadata"] = {**info.get("trace_metadata", {}), "mlflow.trace.session": f"s{n % 3}", "room": "r1"}
            info.pop("assessments", None)
            status, reply = request(url, "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})
            assert status == 200, reply
    run = client.create_run(exp)
    client.link_traces_to_run([f"tr-{n + 1:032x}" for n in range(3)], run.info.run_id)
    return exp, run.info.run_id


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    from conftest import MLflow, Ours

    made = []
    try:
        for kind in (MLflow, Ours):
            s = kind(tmp_path_factory.mktemp(kind.__name__)).start()
            made.append((s, *fill(s.url)))
        yield [(s.url, exp, run) for s, exp, run in made]
    finally:
        for s, *_ in made:
            s.stop()


def ask(both, **q):
    out = []
    for url, exp, run in both:
        body = {"experiment_ids": [exp], **q}
        body["filters"] = [f.replace("$RUN", run) for f in q.get("filters", [])]
        out.append(request(url, "/api/3.0/mlflow/traces/metrics", body))
    return out


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


METRICS = {
    "TRACES": {"trace_count": ["COUNT", "trace_name", "trace_status"], "session_count": ["COUNT"], "latency": ["STATS", "trace_name"], "input_tokens": ["SUMS", "trace_name"],
               "output_tokens": ["SUMS"], "total_tokens": ["SUMS"], "cache_read_input_tokens": ["SUMS"], "cache_creation_input_tokens": ["SUMS"]},
    "SPANS": {"span_count": ["COUNT", "span_name", "span_type", "span_status", "span_model_name", "span_model_provider"], "latency": ["STATS", "span_name", "span_status"],
              "input_cost": ["SUMS", "span_model_name"], "output_cost": ["SUMS", "span_model_provider"], "total_cost": ["SUMS", "span_model_name", "span_model_provider"]},
    "ASSESSMENTS": {"assessment_count": ["COUNT", "assessment_name", "assessment_value"], "assessment_value": ["STATS", "assessment_name"]},
}
FILTERS = {
    "TRACES": [[], ["trace.status = 'OK'"], ["trace.tag.env = 'prod'", "trace.status = \"ERROR\""], ["trace.tag.`odd key` = '1'"], ["trace.metadata.room = 'r1'"],
               ["trace.metadata.mlflow.sourceRun = '$RUN'"], ["trace.metadata.mlflow.trace.session = 's1'"], ["trace.tag.mlflow.traceName = 'ask'"]],
    "SPANS": [[], ["span.name = 'llm'", "trace.status = 'OK'"], ["span.type = 'RETRIEVER'"], ["span.status = 'ERROR'", "trace.tag.env = 'dev'"]],
    "ASSESSMENTS": [[], ["assessment.name = 'score'"], ["assessment.type = 'expectation'"], ["trace.status = 'ERROR'", "assessment.name = 'good'"]],
}
TIMES = [{}, {"start_time_ms": T0 + MINUTE, "end_time_ms": T0 + 4 * MINUTE}, {"time_interval_seconds": 60, "start_time_ms": T0, "end_time_ms": T0 + 10 * MINUTE},
         {"time_interval_seconds": 86400, "start_time_ms": 0, "end_time_ms": T0 + 10 * MINUTE, "max_results": 3}]


def figures(kind):
    if kind == "COUNT":
        return [{"aggregation_type": "COUNT"}]
    names = ["AVG", "MIN", "MAX"] + (["SUM"] if kind == "SUMS" else [])
    return [{"aggregation_type": n} for n in names] + [{"aggregation_type": "PERCENTILE", "percentile_value": p} for p in (0, 50, 99.5, 100)]


@pytest.mark.parametrize("view", list(METRICS))
def test_same_answers(both, view):
    answered = 0
    for metric, (kind, *dims) in METRICS[view].items():
        groups = [[], *([d] for d in dims)] + ([dims[:2]] if len(dims) > 1 else [])
        for dimensions, filters, times in itertools.product(groups, FILTERS[view], TIMES):
            q = dict(view_type=view, metric_name=metric, aggregations=figures(kind), dimensions=dimensions, filters=filters, **times)
            theirs, ours = ask(both, **q)
            assert theirs[0] == ours[0] == 200, (q, theirs, ours)
            assert same(theirs[1], ours[1]), f"{q}\nMLflow: {theirs[1]}\nours:   {ours[1]}"
            answered += len(ours[1].get("data_points", []))
    assert answered > 100


OK = dict(view_type="TRACES", metric_name="trace_count", aggregations=[{"aggregation_type": "COUNT"}])


@pytest.mark.parametrize("change", [
    {"view_type": 2}, {"metric_name": "x"}, {"aggregations": [{"aggregation_type": "SUM"}]}, {"dimensions": ["x"]}, {"dimensions": [1]}, {"time_interval_seconds": 60}, {"max_results": "a"},
    {"filters": [""]}, {"filters": ["trace.status"]}, {"filters": ["trace.status != 'OK'"]}, {"filters": ["trace.status = OK"]}, {"filters": ["trace.status = 5"]}, {"filters": ["trace.x = 'a'"]},
    {"filters": ["foo.x = 'a'"]}, {"filters": ["status = 'a'"]}, {"filters": ["trace.tag = 'a'"]}, {"filters": ["trace.status.x = 'a'"]}, {"filters": ["span.name = 'a'"]},
    {"filters": ["assessment.name = 'a'"]}, {"filters": ["trace.status = 'OK' AND trace.status = 'OK'"]}, {"filters": ["trace.status LIKE 'OK'"]}, {"filters": "x"}, {"experiment_ids": ["abc"]},
    {"experiment_ids": "0"}, {"view_type": 1, "max_results": 0}, {"aggregations": [{}]}, {"page_token": "zz"},
], ids=str)
def test_same_errors(both, change):
    theirs, ours = ask(both, **{**OK, **change})
    assert (theirs[0], theirs[1].get("error_code")) == (ours[0], ours[1].get("error_code")), (theirs, ours)


def test_stock_client(both):
    from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
    from mlflow.store.tracking.rest_store import RestStore
    from mlflow.utils.rest_utils import MlflowHostCreds

    for url, exp, _ in both:
        store = RestStore(lambda url=url: MlflowHostCreds(url))
        points = store.query_trace_metrics([exp], MetricViewType.TRACES, "latency", [MetricAggregation(AggregationType.PERCENTILE, 50.0)], dimensions=["trace_name"])
        assert [p.dimensions["trace_name"] for p in points] == ["answer", "ask"] and all(p.values["P50.0"] > 100 for p in points), url
