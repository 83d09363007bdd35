"""Evaluation datasets of mlflow.genai."""

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.genai.datasets import (
    add_dataset_to_experiments,
    create_dataset,
    delete_dataset,
    delete_dataset_tag,
    get_dataset,
    remove_dataset_from_experiments,
    search_datasets,
    set_dataset_tags,
)


def records_of(dataset):
    return mlflow.MlflowClient().get_dataset(dataset.dataset_id).records


def test_life(experiment):
    d = create_dataset(name="qa", experiment_id=experiment.experiment_id, tags={"team": "search", "mlflow.user": "ann"})
    assert d.dataset_id.startswith("d-") and d.created_by == "ann" and d.experiment_ids == [experiment.experiment_id]
    first = d.digest
    d.merge_records([
        {"inputs": {"q": "a", "n": 1}, "expectations": {"answer": "A"}, "tags": {"lang": "en"}},
        {"inputs": {"q": "b"}, "outputs": {"r": 0.5}, "source": {"source_type": "HUMAN", "source_data": {"user": "ann"}}},
        {"inputs": {"q": "ü"}, "outputs": "plain"},
    ])
    d = get_dataset(dataset_id=d.dataset_id)
    frame = d.to_df()
    assert len(frame) == 3 and set(i["q"] for i in frame["inputs"]) == {"a", "b", "ü"}
    assert d.digest != first and '"num_records": 3' in d.profile and '"q": "string"' in d.schema.replace('":"', '": "')
    d.merge_records([{"inputs": {"n": 1, "q": "a"}, "outputs": {"r": 1}, "expectations": {"sources": ["x"]}}])
    rows = {r.inputs["q"]: r for r in records_of(d)}
    assert len(rows) == 3
    assert rows["a"].expectations == {"answer": "A", "sources": ["x"]} and rows["a"].outputs == {"r": 1} and rows["a"].tags["lang"] == "en"
    assert rows["b"].source.source_type.value == "HUMAN" and rows["ü"].outputs == "plain"
    d.delete_records([rows["b"].dataset_record_id])
    assert len(records_of(d)) == 2

    set_dataset_tags(dataset_id=d.dataset_id, tags={"team": "chat", "stage": "gold"})
    delete_dataset_tag(dataset_id=d.dataset_id, key="stage")
    assert get_dataset(dataset_id=d.dataset_id).tags == {"team": "chat", "mlflow.user": "ann"}
    other = mlflow.create_experiment("other of " + experiment.name)
    assert set(add_dataset_to_experiments(dataset_id=d.dataset_id, experiment_ids=[other]).experiment_ids) == {experiment.experiment_id, other}
    assert remove_dataset_from_experiments(dataset_id=d.dataset_id, experiment_ids=[experiment.experiment_id]).experiment_ids == [other]
    delete_dataset(dataset_id=d.dataset_id)
    with pytest.raises(MlflowException, match="not found"):
        get_dataset(dataset_id=d.dataset_id)


def test_search_and_traces(experiment):
    for i in range(4):
        create_dataset(name=f"set {i}", experiment_id=experiment.experiment_id, tags={"i": str(i), "odd": str(i % 2)})
    e = [experiment.experiment_id]
    assert {d.name for d in search_datasets(experiment_ids=e)} == {f"set {i}" for i in range(4)}
    assert {d.name for d in search_datasets(experiment_ids=e, filter_string="tags.odd = '1'")} == {"set 1", "set 3"}
    assert [d.name for d in search_datasets(experiment_ids=e, filter_string="name LIKE 'set%' AND name != 'set 0'", order_by=["name ASC"])] == ["set 1", "set 2", "set 3"]
    assert [d.name for d in search_datasets(experiment_ids=e, max_results=1, order_by=["name DESC"])] == ["set 3"]
    with pytest.raises(MlflowException, match="filter"):
        list(search_datasets(experiment_ids=e, filter_string="size = 'x'"))

    @mlflow.trace
    def answer(q):
        return q.upper()

    answer("hello")
    mlflow.flush_trace_async_logging()
    tid = mlflow.get_last_active_trace_id()
    mlflow.log_expectation(trace_id=tid, name="expected", value="HELLO")
    d = create_dataset(name="of traces", experiment_id=experiment.experiment_id)
    d.merge_records(mlflow.search_traces(locations=e, return_type="list"))
    records = records_of(d)
    assert len(records) == 1 and records[0].inputs == {"q": "hello"} and records[0].source_id == tid
    assert records[0].expectations == {"expected": "HELLO"}


def test_many_records(experiment):
    d = create_dataset(name="large", experiment_id=experiment.experiment_id)
    d.merge_records([{"inputs": {"i": i}} for i in range(2500)])
    assert {r.inputs["i"] for r in records_of(d)} == set(range(2500))
