"""`temporal-dev.yml`: read strictly, found from anywhere, and in agreement with itself."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from moorline.stack import StackError, StackFacts
from moorline.stack.facts import FILE_NAME

ROOT = Path(__file__).parents[2]


def text() -> str:
    return (ROOT / FILE_NAME).read_text()


def services() -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(text())
    return document["services"]


def words(service: str) -> list[str]:
    command = services()[service]["command"]
    assert isinstance(command, list)
    assert all(isinstance(word, str) for word in command), "Compose takes only text in a command"
    return command


def after(flag: str, command: list[str]) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


def pairs(flag: str, command: list[str]) -> dict[str, str]:
    return dict(value.split("=", maxsplit=1) for value in after(flag, command))


def test_the_projects_file_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    facts = StackFacts.read()
    assert facts.temporal.port == 7233
    assert facts.postgres.database == "moorline"
    assert facts.temporal.search_attributes["ReauthorizeBy"] == "Datetime"
    assert facts.temporal.dynamic_config["history.timerProcessorMaxTimeShift"] == '"50ms"'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    task_queue:", "    task_qeue:", "x-moorline.temporal.task_queue: Field required"),
        ('"7233"', '"72330"', "x-moorline.temporal.port: Input should be less than"),
        ("StatusReason=Keyword", "StatusReason=Keywort", "search_attributes.StatusReason"),
        ("journal_mode=wal", "journal_mode", "should have the form NAME=VALUE"),
        ('  gateway:\n    port: &gateway-port "8300"', "", "x-moorline"),
        ('  redirect:\n    port: "8400"', "  redirekt: {}", "x-moorline.redirect: Field required"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in text()
    wrong = tmp_path / FILE_NAME
    wrong.write_text(text().replace(old, new, 1).replace("*gateway-port", '"8300"'))
    with pytest.raises(StackError, match=complaint) as error:
        StackFacts.read(wrong)
    assert str(wrong) in str(error.value)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / FILE_NAME
    wrong.write_text(text().replace("    namespace:", "    flavour: mild\n    namespace:", 1))
    with pytest.raises(StackError, match=r"temporal\.flavour: Extra inputs are not permitted"):
        StackFacts.read(wrong)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot be read"):
        StackFacts.read(tmp_path / FILE_NAME)


def test_the_temporal_service_is_started_with_exactly_the_facts() -> None:
    temporal, command = StackFacts.read().temporal, words("temporal")
    assert after("--port", command) == [str(temporal.port)]
    assert after("--ui-port", command) == [str(temporal.ui_port)]
    assert after("--metrics-port", command) == [str(temporal.metrics_port)]
    assert after("--namespace", command) == [temporal.namespace]
    assert pairs("--search-attribute", command) == temporal.search_attributes
    assert pairs("--sqlite-pragma", command) == temporal.sqlite_pragmas
    assert pairs("--dynamic-config-value", command) == temporal.dynamic_config


def test_addresses_that_repeat_a_port_agree_with_the_facts() -> None:
    facts = StackFacts.read()
    (codec,) = after("--ui-codec-endpoint", words("temporal"))
    gateway = services()["gateway"]["environment"]
    assert isinstance(gateway, dict)
    assert gateway["MOORLINE_GATEWAY_PORT"] == str(facts.gateway.port)
    assert gateway["MOORLINE_PUBLIC_URL"] == f"http://127.0.0.1:{facts.gateway.port}"
    assert gateway["MOORLINE_UI_ORIGIN"] == f"http://127.0.0.1:{facts.temporal.ui_port}"
    public, token = gateway["MOORLINE_PUBLIC_URL"], gateway["MOORLINE_CODEC_TOKEN"]
    assert codec == f"{public}/codec/{token}"
    for part in ("sandbox", "migrate", "setup", "worker", "gateway"):
        environment = services()[part]["environment"]
        assert isinstance(environment, dict)
        assert environment["TEMPORAL_ADDRESS"] == f"127.0.0.1:{facts.temporal.port}"
        database = environment["MOORLINE_DATABASE_URL"]
        assert f"@127.0.0.1:{facts.postgres.port}/{facts.postgres.database}" in database


def test_docker_publishes_nothing_beyond_this_machine() -> None:
    published = [port for service in services().values() for port in listed(service.get("ports"))]
    assert len(published) == 4
    assert all(isinstance(port, dict) and port["host_ip"] == "127.0.0.1" for port in published)


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
