"""Loading: precedence, refusals, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftline.config import Config, load
from driftline.config.sources import Given, add_environment
from driftline.config.tree import env_name, settings
from driftline.contracts.mapping import FieldMapping, KindAt
from driftline.errors import Misconfigured

CANARY = "canary-5f2e"


def refused(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> str:
    file = tmp_path / "driftline.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as caught:
        load(file, environ or {})
    return str(caught.value)


def test_defaults_need_no_file_and_no_environment() -> None:
    loaded = load(None, {})
    assert loaded.config == Config()
    assert loaded.origins == {}
    assert loaded.config.topics.events == ("driftline.events",)
    assert loaded.config.topics.blocks == "driftline.blocks"


def test_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("kafka: {bootstrap: 'file:1', group: from-file}\njoin: {days: 7}\n")
    loaded = load(
        file,
        {"DRIFTLINE_KAFKA__BOOTSTRAP": "env:2", "driftline_join__days": "9"},
        {"kafka.bootstrap": "flag:3"},
    )
    config = loaded.config
    assert (config.kafka.bootstrap, config.kafka.group, config.join.days) == ("flag:3", "from-file", 9)
    assert loaded.origins[("kafka", "bootstrap")] == "command line"
    assert loaded.origins[("kafka", "group")] == "d.yaml:1"
    assert loaded.origins[("join", "days")] == "driftline_join__days"


@pytest.mark.parametrize("given", ["a", '["a"]', " a "])
def test_a_list_from_the_environment(given: str) -> None:
    assert load(None, {"DRIFTLINE_TOPICS__EVENTS": given}).config.topics.events == ("a",)


def test_topic_names_follow_the_prefix_unless_given() -> None:
    topics = load(None, {"DRIFTLINE_TOPICS__PREFIX": "x-", "DRIFTLINE_TOPICS__SIGNALS": "mine"}).config.topics
    assert (topics.events, topics.blocks, topics.signals) == (("x-events",), "x-blocks", "mine")


def test_every_mistake_is_reported_at_once_with_path_line_and_remedy(tmp_path: Path) -> None:
    text = refused(
        "kafka:\n  bootstrp: a:1\ningest:\n  latness_s: 3\n  poll_ms: soon\n"
        "  limits: {max_byte: 1}\ndetection: 3\n",
        tmp_path,
        {"DRIFTLINE_JOIN__DAYS": "ten"},
    )
    assert "6 mistakes" in text
    assert "kafka.bootstrp (driftline.yaml:2): there is no such setting; did you mean kafka.bootstrap?" in text
    assert "ingest.latness_s (driftline.yaml:4)" in text and "did you mean ingest.lateness_s?" in text
    assert "ingest.limits.max_byte" in text and "did you mean ingest.limits.max_bytes?" in text
    assert "ingest.poll_ms (driftline.yaml:5)" in text and "given 'soon'" in text and "Default: 250" in text
    assert "join.days (DRIFTLINE_JOIN__DAYS)" in text
    assert "detection (driftline.yaml:7): a section is wanted" in text


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("nonsense", "known here: kafka, topics"),
        ("lateness_s", "did you mean ingest.lateness_s?"),
        ("kafka.arl0_days", "did you mean detection.arl0_days?"),
        ("runtime.http.prot", "did you mean runtime.http.port?"),
        ("detection.pager.feature", "did you mean detection.pager.features?"),
        ("notify.url", "allow_private, ca_file, max_pending; a table of notify.receivers has url"),
        ("kafka.url", "known here: bootstrap, "),
        ("react.upstream", "did you mean react.incidents.upstream?"),
        ("detction.arl0_days", "did you mean detection?"),
    ],
)
def test_unknown_keys_are_refused_at_every_level(path: str, suggestion: str, tmp_path: Path) -> None:
    text = "1"
    for name in reversed(path.split(".")):
        text = f"{{{name}: {text}}}"
    assert suggestion in refused(text, tmp_path)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize("path", ["detection.arl0_days", "detection.min_effect_sd", "ingest.lateness_s"])
def test_row_46_a_threshold_that_is_no_number_is_refused(path: str, number: str, tmp_path: Path) -> None:
    """Mutation: drop `allow_inf_nan=False` in config/base.py; only the bounds are left to refuse them."""
    first, second = path.split(".")
    says = f"{path} (driftline.yaml:1): input should be a finite number"
    assert says in refused(f"{first}: {{{second}: {number}}}", tmp_path)
    with pytest.raises(Misconfigured, match="finite number"):
        load(None, {env_name((first, second)): number.lstrip(".").replace("-.", "-")})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("join: {days: true}", "a number is wanted, not true or false"),
        ("join: {days: 1}\njoin: {days: 2}", "join (driftline.yaml:2): given twice"),
        ("join: {days: 1, days: 2}", "join.days (driftline.yaml:1): given twice"),
        ("[1]", "must be a mapping of sections"),
        ("kafka:\n\tx: 1", "driftline.yaml:2: not YAML"),
        ("a: &a {b: *a}", "not YAML"),
        ("a: !!python/object:os.system {}", "not YAML"),
        ("kafka: {bootstrap: kafka}", "write host:port"),
        ("kafka: {bootstrap: 'kafka://h:1'}", "without a scheme"),
        ("kafka: {security_protocol: SASL_SSL}", "needs sasl_mechanism, sasl_username and sasl_password"),
        ("kafka: {sasl_mechanism: PLAIN}", "set security_protocol to SASL_SSL"),
        ("kafka: {security_protocol: SSL, ssl_cafile: /nowhere/ca.pem}", "there is no file /nowhere/ca.pem"),
        ("redis: {url: 'http://h'}", "write redis://host:port/database"),
        ("redis: {url: 'redis://h:0x/0'}", "write redis://host:port/database"),
        ("topics: {events: [a b]}", "'a b' is not a topic name"),
        ("topics: {signals: driftline.blocks}", "'driftline.blocks' is named twice"),
        ("topics: {retention_hours: {events: 720}}", "must be kept longer than events"),
        ("topics: {retention_hours: {signals: 0}}", "nothing would be kept"),
        ("runtime: {revoke_deadline_s: 10}", "must be shorter than kafka.rebalance_timeout_ms"),
        ("ingest: {max_bundle_bytes: 2000000}", "must not exceed kafka.max_message_bytes"),
        ("ingest: {mapping: {id: i, time: t}}", "either kind or kind_path"),
        ("ingest: {mapping: {kind: outcome, id: i, time: t}}", "model: neither a path nor a constant"),
        ("ingest: {mapping: {kind_path: k, id: i, time: t}}", "say in kind_values"),
        ("ingest: {mapping: {kind: outcome, id: i}}", "ingest.mapping.time (driftline.yaml:1): field required"),
        ("ingest: {mapping: {kind: outcome, idd: i}}", "did you mean ingest.mapping.id?"),
        ("detection: {pager: {errors: kswin}}", "'cbe', 'adwin' or 'page_hinkley'"),
    ],
)
def test_refusals_say_what_to_do(text: str, says: str, tmp_path: Path) -> None:
    assert says in refused(text, tmp_path)


def test_nesting_and_aliases_cannot_make_a_file_expensive(tmp_path: Path) -> None:
    assert "not YAML" in refused("a: " + "[" * 5000, tmp_path)
    assert "not YAML" in refused("{a: " * 3000 + "1" + "}" * 3000, tmp_path)
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}\n" for n in range(1, 12)
    )
    assert "not YAML" in refused(bomb, tmp_path)


def test_a_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path / "none.yaml", {})
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(Misconfigured, match="not UTF-8 at byte 0"):
        load(tmp_path / "b.yaml", {})
    (tmp_path / "big.yaml").write_bytes(b"#" * 1_048_577)
    with pytest.raises(Misconfigured, match="larger than"):
        load(tmp_path / "big.yaml", {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "kafka:\njoin:\n", "\ufeffkafka:\n"])
def test_empty_sections_are_defaults(text: str, tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(text, encoding="utf-8")
    assert load(file, {}).config == Config()


def test_what_kubernetes_sets_for_a_service_is_left_alone() -> None:
    environ = {
        "DRIFTLINE_PORT": "tcp://10.0.0.1:9464",
        "DRIFTLINE_SERVICE_HOST": "10.0.0.1",
        "DRIFTLINE_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
        "DRIFTLINE_KAFKA__GROUP": "",
    }
    assert load(None, environ).config == Config()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("DRIFTLINE_KAFKA_BOOTSTRAP", "two underscores: DRIFTLINE_KAFKA__BOOTSTRAP"),
        ("DRIFTLINE_KAFKA__BOOTSTRP", "did you mean DRIFTLINE_KAFKA__BOOTSTRAP?"),
        ("DRIFTLINE_JOIN__DAYS__X", "there is no such setting"),
        ("DRIFTLINE_REDIS__", "there is no such setting"),
        ("DRIFTLINE_NOTIFY", "notify is a section, and each of its settings has a variable: DRIFTLINE_NOTIFY__REC"),
        ("DRIFTLINE_DETECTION__PAGER", "detection.pager is a section"),
        ("DRIFTLINE_DETECTION_PAGER", "detection.pager is a section"),
        ("DRIFTLINE_DETECTION__PAGR", "DRIFTLINE_DETECTION__PAGER__ERRORS"),
        ("DRIFTLINE_INGEST__MAPPING", "ingest.mapping is a section"),
        ("DRIFTLINE_NOTIFY__URL", "a table of notify.receivers has url"),
        ("DRIFTLINE_NOTIFY__RECEIVERS__0__URL", "did you mean DRIFTLINE_NOTIFY__RECEIVERS?"),
    ],
)
def test_misspelt_variables_are_refused(name: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, {name: CANARY})
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)


def test_every_setting_has_a_variable_that_reaches_it() -> None:
    for path in settings():
        given = Given()
        add_environment(given, {env_name(path): "value"})
        assert given.problems == []
        assert given.origins == {path: env_name(path)}
        here: object = given.data
        for name in path:
            assert isinstance(here, dict)
            here = here[name]
        assert here == "value"


def test_a_mapping_reaches_the_decoder_whole() -> None:
    environ = {
        "DRIFTLINE_INGEST__MAPPING__KIND_PATH": "what",
        "DRIFTLINE_INGEST__MAPPING__KIND_VALUES": '{"scored": "prediction"}',
        "DRIFTLINE_INGEST__MAPPING__ID": "meta.id",
        "DRIFTLINE_INGEST__MAPPING__TIME": "ts",
        "DRIFTLINE_INGEST__MAPPING__TIME_UNIT": "s",
        "DRIFTLINE_INGEST__MAPPING__FEATURES": '["a", "b.c"]',
        "DRIFTLINE_INGEST__MAPPING__CONSTANTS": '{"model": "m", "version": "1"}',
    }
    mapping = load(None, environ).config.ingest.mapping
    assert mapping is not None
    compiled = mapping.compiled()
    assert compiled.kind == KindAt(path="what", values={"scored": "prediction"})
    assert (compiled.id, compiled.time_unit, compiled.features) == ("meta.id", "s", ("a", "b.c"))
    assert compiled.constants == {"model": "m", "version": "1"}
    ours = {name for name in type(mapping).model_fields if not name.startswith("kind_")}
    assert ours == set(FieldMapping.__struct_fields__)
