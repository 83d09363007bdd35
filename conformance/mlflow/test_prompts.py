"""Prompts: registered models of a kind, as the client keeps them."""

import mlflow
import pytest
from mlflow.exceptions import MlflowException


def test_prompts(client):
    first = mlflow.genai.register_prompt(name="greet", template="Hello {{name}}", commit_message="first", tags={"task": "greeting"})
    second = mlflow.genai.register_prompt(name="greet", template="Good day {{name}}, it is {{day}}", commit_message="longer")
    assert (first.version, second.version) == (1, 2) and second.variables == {"name", "day"}
    assert mlflow.genai.load_prompt("prompts:/greet/1").template == "Hello {{name}}"
    assert mlflow.genai.load_prompt("greet", version=2).format(name="Ann", day="Monday") == "Good day Ann, it is Monday"
    assert mlflow.genai.load_prompt("prompts:/greet@latest").version == 2
    mlflow.genai.set_prompt_alias("greet", alias="production", version=1)
    loaded = mlflow.genai.load_prompt("prompts:/greet@production")
    assert loaded.version == 1 and loaded.tags == {"task": "greeting"} and loaded.commit_message == "first"
    mlflow.genai.set_prompt_alias("greet", alias="production", version=2)
    assert mlflow.genai.load_prompt("prompts:/greet@production").version == 2
    mlflow.genai.delete_prompt_alias("greet", alias="production")
    with pytest.raises(MlflowException):
        mlflow.genai.load_prompt("prompts:/greet@production")
    assert mlflow.genai.load_prompt("prompts:/none/1", allow_missing=True) is None
    with pytest.raises(MlflowException):
        mlflow.genai.load_prompt("prompts:/greet/9")


def test_prompt_tags_and_search(client):
    for name in ("ask-a", "ask-b", "tell"):
        mlflow.genai.register_prompt(name=name, template="x {{y}}", tags={"kind": name[:3]})
    mlflow.genai.set_prompt_tag("ask-a", "team", "blue")
    assert client.get_prompt("ask-a").tags["team"] == "blue"
    assert [p.name for p in mlflow.genai.search_prompts("name LIKE 'ask-%'")] == ["ask-a", "ask-b"]
    assert [p.name for p in mlflow.genai.search_prompts("tags.team = 'blue'")] == ["ask-a"]
    client.delete_prompt_tag("ask-a", "team")
    assert "team" not in client.get_prompt("ask-a").tags
    mlflow.genai.set_prompt_version_tag("ask-a", 1, "reviewed", "yes")
    assert mlflow.genai.load_prompt("ask-a", version=1).tags["reviewed"] == "yes"
    client.delete_prompt_version_tag("ask-a", 1, "reviewed")
    assert "reviewed" not in mlflow.genai.load_prompt("ask-a", version=1, cache_ttl_seconds=0).tags
    mlflow.genai.register_prompt(name="ask-a", template="y")
    assert sorted(v.version for v in client.search_prompt_versions("ask-a")) == [1, 2]
    client.delete_prompt_version("ask-a", "2")
    assert [v.version for v in client.search_prompt_versions("ask-a")] == [1]
    client.delete_prompt_version("ask-a", "1")
    client.delete_prompt("ask-a")
    assert client.get_prompt("ask-a") is None
    # prompts and models live side by side and are not mixed up
    client.create_registered_model("tell-model")
    assert "tell" not in [m.name for m in client.search_registered_models()]
    assert "tell-model" not in [p.name for p in mlflow.genai.search_prompts()]
    with pytest.raises(MlflowException):
        mlflow.genai.register_prompt(name="tell-model", template="x")


def test_chat_prompt_and_models():
    chat = [{"role": "system", "content": "You are {{who}}."}, {"role": "user", "content": "{{question}}"}]
    mlflow.genai.register_prompt(name="chat", template=chat, response_format={"type": "object"})
    got = mlflow.genai.load_prompt("chat", version=1)
    assert got.template == chat and not got.is_text_prompt and got.format(who="kind", question="?")[0]["content"] == "You are kind."
    with mlflow.start_run() as run:
        mlflow.genai.load_prompt("chat", version=1)
    assert "chat" in mlflow.get_run(run.info.run_id).data.tags.get("mlflow.linkedPrompts", "")
