"""Every setting: read, shown with its source, refused by name when wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from higherself.app.per_business import PerBusiness
from higherself.app.road_order import RoadOrder
from higherself.app.settings import Settings, described, load_settings
from higherself.app.tier_names import PerTier
from higherself.app.token_price import TokenPrice
from higherself.inbound.businesses import Businesses
from higherself.kernel.errors import Misconfigured
from higherself.outbound.policy import AllowList

GOOD: dict[str, tuple[str, str, Any]] = {
    "DATABASE_URL": (
        "database_url",
        "postgresql://me:s3cr3t@db.example.org:5432/postgres",
        "postgresql://me:s3cr3t@db.example.org:5432/postgres",
    ),
    "HIGHERSELF_HOME": ("home", "/var/lib/higherself", Path("/var/lib/higherself")),
    "NOTION_TOKEN": ("notion_token", "ntn_0123456789", "ntn_0123456789"),
    "NOTION_BASE_URL": ("notion_base_url", "http://localhost:9000/", "http://localhost:9000"),
    "NOTION_WEBHOOK_TOKEN": ("notion_webhook_token", "secret_0123456789", "secret_0123456789"),
    "NOTION_PLAN": ("notion_plan", "plus", "plus"),
    "NOTION_PARENT_PAGE": ("notion_parent_page", "0123", "0123"),
    "NOTION_ENTITY": ("notion_entity", "gallery", "gallery"),
    "NOTION_CONFLICTS": ("notion_conflicts", "store_wins", "store_wins"),
    "NOTION_ROLES": ("notion_roles", "owner: ada@example.org", "owner: ada@example.org"),
    "NOTION_STATUS_EDITED": ("notion_status_edited", "leave", "leave"),
    "NOTION_STATUS_REMOVED": ("notion_status_removed", "recreate", "recreate"),
    "VOYAGE_API_KEY": ("voyage_api_key", "pa-0123456789", "pa-0123456789"),
    "VOYAGE_BASE_URL": ("voyage_base_url", "http://localhost:1/v1", "http://localhost:1/v1"),
    "VOYAGE_MODEL": ("voyage_model", "voyage-4-large", "voyage-4-large"),
    "VOYAGE_DIMENSIONS": ("voyage_dimensions", "2048", 2048),
    "OPENAI_API_KEY": ("openai_api_key", "sk-0123456789", "sk-0123456789"),
    "OPENAI_BASE_URL": ("openai_base_url", "http://localhost:2/v1", "http://localhost:2/v1"),
    "OPENAI_EMBEDDING_MODEL": ("openai_embedding_model", "nomic-embed", "nomic-embed"),
    "OPENAI_EMBEDDING_DIMENSIONS": ("openai_embedding_dimensions", "768", 768),
    "ANTHROPIC_API_KEY": ("anthropic_api_key", "sk-ant-0123456789", "sk-ant-0123456789"),
    "ANTHROPIC_BASE_URL": ("anthropic_base_url", "http://localhost:3", "http://localhost:3"),
    "HIGHERSELF_ROADS": (
        "roads",
        " durable = nats , postgres ",
        RoadOrder(("nats", "postgres"), ("memory", "nats", "postgres")),
    ),
    "HIGHERSELF_SPOOL": ("spool", "on", "on"),
    "HIGHERSELF_LLM": ("llm", "anthropic:some-model", "anthropic:some-model"),
    "HIGHERSELF_LLM_PRICE": ("llm_price", "3, 0.5", TokenPrice(3_000_000, 500_000)),
    "HIGHERSELF_LLM_DAILY_USD": (
        "llm_daily_usd",
        "2.5, gallery = none",
        PerBusiness(2_500_000, {"gallery": None}, 1_000_000),
    ),
    "HIGHERSELF_LLM_DAILY_TOKENS": (
        *("llm_daily_tokens", "gallery=1000", PerBusiness(None, {"gallery": 1000})),
    ),
    "HIGHERSELF_EMBEDDING_TIERS": ("embedding_tiers", " local , openai", ("local", "openai")),
    "HIGHERSELF_EMBEDDING_CONCURRENCY": (
        "embedding_concurrency",
        " 8 , openai=2",
        PerTier({"openai": 2}, 8),
    ),
    "HIGHERSELF_EMBEDDING_DAILY_TOKENS": (
        "embedding_daily_tokens",
        "voyage = 1000000",
        PerTier({"voyage": 1_000_000}),
    ),
    "HIGHERSELF_RERANKER": ("reranker", "openai", "openai"),
    "HIGHERSELF_RERANKER_MODEL": ("reranker_model", "rerank-2", "rerank-2"),
    "HIGHERSELF_RERANKER_BASE_URL": (
        *("reranker_base_url", "http://localhost:4/v1/", "http://localhost:4/v1"),
    ),
    "HIGHERSELF_RERANKER_API_KEY": ("reranker_api_key", "sk-9876543210", "sk-9876543210"),
    "HIGHERSELF_RERANKER_WINDOW": ("reranker_window", "512", 512),
    "NATS_URL": ("nats_url", "nats://localhost:4222", "nats://localhost:4222"),
    "NATS_CREDS": ("nats_creds", "/etc/nats.creds", Path("/etc/nats.creds")),
    "NATS_MONITORING_URL": ("nats_monitoring_url", "http://h:8222", "http://h:8222"),
    "NATS_REPLICAS": ("nats_replicas", "3", 3),
    "SMTP_URL": ("smtp_url", "smtp://me:s3cr3t@h:587", "smtp://me:s3cr3t@h:587"),
    "HIGHERSELF_DELIVERY": ("delivery", "live", "live"),
    "HIGHERSELF_ALLOW_LIST": (
        "allow_list",
        " Ana@example.org , @gallery.example",
        AllowList(("ana@example.org", "@gallery.example")),
    ),
    "MAIL_FROM": (
        "mail_from",
        "The 7 Space <a@b.example>; gallery = c@d.example",
        {"*": "The 7 Space <a@b.example>", "gallery": "c@d.example"},
    ),
    "SLACK_WEBHOOK_URL": (
        "slack_webhook_url",
        "https://h/x; a=https://h/y",
        "https://h/x; a=https://h/y",
    ),
    "SLACK_SIGNING_SECRET": ("slack_signing_secret", "s3cr3t", "s3cr3t"),
    "HIGHERSELF_WEBHOOK_TARGETS": ("webhook_targets", "crm=https://h/y", "crm=https://h/y"),
    "WEBHOOK_SIGNING_SECRET": ("webhook_signing_secret", "whsec_s3cr3t", "whsec_s3cr3t"),
    "SMS_URL": ("sms_url", "http://localhost:6/", "http://localhost:6"),
    "SMS_TOKEN": ("sms_token", "s3cr3t", "s3cr3t"),
    "SMS_FROM": ("sms_from", "+19735550170", "+19735550170"),
    "HIGHERSELF_DROP_FOLDER": ("drop_folder", "/srv/out", Path("/srv/out")),
    "TYPEFORM_WEBHOOK_SECRET": ("typeform_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "WOOCOMMERCE_WEBHOOK_SECRET": ("woocommerce_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "AMELIA_WEBHOOK_SECRET": ("amelia_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "ACUITY_API_KEY": ("acuity_api_key", "s3cr3t,0ld", "s3cr3t,0ld"),
    "CIRCLE_WEBHOOK_SECRET": ("circle_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "BEEHIIV_WEBHOOK_SECRET": ("beehiiv_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "STRIPE_WEBHOOK_SECRET": ("stripe_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "USERFEEDBACK_WEBHOOK_SECRET": ("userfeedback_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "TUTORLM_WEBHOOK_SECRET": ("tutorlm_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "SNOVIO_WEBHOOK_SECRET": ("snovio_webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "WEBHOOK_SECRET": ("webhook_secret", "s3cr3t,0ld", "s3cr3t,0ld"),
    "ACUITY_USER_ID": ("acuity_user_id", "12345678", "12345678"),
    "ACUITY_BASE_URL": ("acuity_base_url", "http://localhost:5/", "http://localhost:5"),
    "HIGHERSELF_WEBHOOK_BUSINESSES": (
        "webhook_businesses",
        "typeform:form:x = gallery, *=practice",
        Businesses({"typeform:form:x": "gallery", "*": "practice"}),
    ),
    "HIGHERSELF_WEBHOOK_RATE": ("webhook_rate", "100", 100),
    "HIGHERSELF_HOST": ("host", "127.0.0.2", "127.0.0.2"),
    "HIGHERSELF_PORT": ("port", "9999", 9999),
    "HIGHERSELF_MCP": ("mcp", "all", "all"),
    "HIGHERSELF_A2A": ("a2a", "off", "off"),
    "HIGHERSELF_URL": ("url", "https://network.example.org/", "https://network.example.org"),
    "HIGHERSELF_LOG": ("log", "json", "json"),
    "HIGHERSELF_EXTENSIONS": ("extensions", "/a:/b", (Path("/a"), Path("/b"))),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "otel_endpoint",
        "http://localhost:4318",
        "http://localhost:4318",
    ),
}
"""Name -> field, a value as text, what it becomes."""

SECRETS = {
    *("DATABASE_URL", "NOTION_TOKEN", "NOTION_WEBHOOK_TOKEN", "VOYAGE_API_KEY"),
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SMTP_URL", "HIGHERSELF_RERANKER_API_KEY"),
    *("SLACK_WEBHOOK_URL", "SLACK_SIGNING_SECRET", "HIGHERSELF_WEBHOOK_TARGETS", "SMS_TOKEN"),
    *("WEBHOOK_SIGNING_SECRET", "WEBHOOK_SECRET", "ACUITY_API_KEY"),
    *(
        f"{source}_WEBHOOK_SECRET"
        for source in (
            *("TYPEFORM", "WOOCOMMERCE", "AMELIA", "CIRCLE", "BEEHIIV", "STRIPE", "USERFEEDBACK"),
            *("TUTORLM", "SNOVIO"),
        )
    ),
}


def loaded(folder: Path, **environment: str) -> tuple[Settings, dict[str, str]]:
    return load_settings(environment, folder=folder)


def test_these_are_all_settings() -> None:
    assert set(Settings.names().values()) == set(GOOD)


@pytest.mark.parametrize("name", GOOD)
def test_a_setting_is_read_from_the_environment(tmp_path: Path, name: str) -> None:
    field, text, expected = GOOD[name]
    settings, sources = loaded(tmp_path, **{name: text})
    assert plain(getattr(settings, field)) == expected
    assert sources == {name: "environment"}


@pytest.mark.parametrize("name", GOOD)
def test_a_setting_is_read_from_the_file(tmp_path: Path, name: str) -> None:
    field, text, expected = GOOD[name]
    (tmp_path / ".env").write_text(f"{name}={text.strip()}\n")
    settings, sources = loaded(tmp_path)
    assert plain(getattr(settings, field)) == expected
    assert sources == {name: str(tmp_path / ".env")}


def plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HIGHERSELF_PORT=1000\nHIGHERSELF_LOG=json\n")
    settings, sources = loaded(tmp_path, HIGHERSELF_PORT="2000")
    assert (settings.port, settings.log) == (2000, "json")
    assert sources["HIGHERSELF_PORT"] == "environment"
    assert sources["HIGHERSELF_LOG"] == str(tmp_path / ".env")


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HIGHERSELF_PORT=1000\nDATABASE_URL=\n")
    settings, sources = loaded(tmp_path, HIGHERSELF_PORT="", NOTION_TOKEN="")
    assert (settings.port, settings.database_url, settings.notion_token) == (1000, None, None)
    assert set(sources) == {"HIGHERSELF_PORT"}


def test_the_defaults(tmp_path: Path) -> None:
    settings, sources = loaded(tmp_path)
    assert sources == {}
    assert settings.database_url is None
    assert (settings.host, settings.port, settings.log) == ("127.0.0.1", 8787, "console")
    assert settings.embedding_tiers == ("voyage", "openai", "local")
    assert settings.llm == "template"
    assert settings.home.is_absolute()
    assert settings.home.name == "higherself"


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOMETHING=else\nexport HIGHERSELF_PORT='1000' # a comment\n")
    settings, sources = loaded(tmp_path, PATH="/bin", HIGHERSELF_NOTHING="x")
    assert settings.port == 1000
    assert set(sources) == {"HIGHERSELF_PORT"}


def test_a_home_may_begin_with_a_tilde_and_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert loaded(tmp_path, HIGHERSELF_HOME="~/data")[0].home == Path("/home/me/data")
    assert loaded(tmp_path, HIGHERSELF_HOME="data/../here")[0].home == tmp_path / "here"


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings, _ = loaded(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://me:s3cr3t@h/db"),
        ("DATABASE_URL", "postgresql://me:s3cr3t@and@more@h/db"),
        ("DATABASE_URL", "postgresql://me:s3cr3t with space@h/db"),
        ("NOTION_BASE_URL", "api.notion.com"),
        ("NOTION_PLAN", "golden"),
        ("VOYAGE_BASE_URL", "ftp://h"),
        ("OPENAI_BASE_URL", "localhost:8080"),
        ("ANTHROPIC_BASE_URL", "x"),
        ("HIGHERSELF_EMBEDDING_TIERS", "local,magic"),
        ("HIGHERSELF_EMBEDDING_TIERS", ","),
        ("HIGHERSELF_EMBEDDING_TIERS", "local,voyage,local"),
        ("HIGHERSELF_EMBEDDING_CONCURRENCY", "0"),
        ("HIGHERSELF_EMBEDDING_CONCURRENCY", "local=x"),
        ("HIGHERSELF_EMBEDDING_DAILY_TOKENS", "magic=5"),
        ("HIGHERSELF_EMBEDDING_DAILY_TOKENS", "1e6"),
        ("HIGHERSELF_RERANKER", "cohere"),
        ("HIGHERSELF_RERANKER_BASE_URL", "localhost:8000"),
        ("HIGHERSELF_RERANKER_WINDOW", "63"),
        ("VOYAGE_DIMENSIONS", "0"),
        ("OPENAI_EMBEDDING_DIMENSIONS", "4001"),
        ("HIGHERSELF_LLM", "claude"),
        ("HIGHERSELF_LLM", "mistral:large"),
        ("HIGHERSELF_LLM", "openai:"),
        ("HIGHERSELF_LLM_PRICE", "3"),
        ("HIGHERSELF_LLM_PRICE", "3,-1"),
        ("HIGHERSELF_LLM_DAILY_USD", "much"),
        ("HIGHERSELF_LLM_DAILY_USD", "Art Gallery=5"),
        ("HIGHERSELF_LLM_DAILY_TOKENS", "1.5"),
        ("NATS_URL", "http://h:4222"),
        ("HIGHERSELF_ROADS", "nats"),
        ("HIGHERSELF_ROADS", "durable=nats"),
        ("HIGHERSELF_ROADS", "durable=postgres,rabbit"),
        ("HIGHERSELF_ROADS", "durable=postgres,postgres"),
        ("HIGHERSELF_ROADS", "ephemeral=postgres,nats"),
        ("HIGHERSELF_ROADS", "durable=postgres;durable=postgres,nats"),
        ("HIGHERSELF_PORT", "http"),
        ("HIGHERSELF_PORT", "0"),
        ("HIGHERSELF_PORT", "65536"),
        ("HIGHERSELF_LOG", "loud"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
    ],
)
def test_a_wrong_value_is_refused_by_name_with_an_example(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(Misconfigured) as raised:
        loaded(tmp_path, **{name: value})
    (line,) = str(raised.value).splitlines()
    assert re.fullmatch(rf"{name} is wrong: \S.*; for example {name}=\S+", line)
    assert "s3cr3t" not in line
    example = line.rpartition(f"{name}=")[2]
    loaded(tmp_path, **{name: example})


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        loaded(tmp_path, HIGHERSELF_PORT="x", HIGHERSELF_LOG="y", NOTION_PLAN="z")
    told = [line.split()[0] for line in str(raised.value).splitlines()]
    assert sorted(told) == ["HIGHERSELF_LOG", "HIGHERSELF_PORT", "NOTION_PLAN"]


@pytest.mark.parametrize("name", GOOD)
def test_the_example_of_every_setting_is_right(tmp_path: Path, name: str) -> None:
    field = Settings.model_fields[GOOD[name][0]]
    assert field.description
    (example,) = field.examples or []
    loaded(tmp_path, **{name: example})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"HIGHERSELF_PORT=\xff\xfe\n")
    with pytest.raises(Misconfigured, match=r"\.env cannot be read"):
        loaded(tmp_path)


def test_every_setting_is_shown_with_its_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOTION_PLAN=plus\n")
    rows = {row["name"]: row for row in described(*loaded(tmp_path, HIGHERSELF_PORT="9999"))}
    assert set(rows) == set(GOOD)
    assert (rows["HIGHERSELF_PORT"]["value"], rows["HIGHERSELF_PORT"]["source"]) == (
        "9999",
        "environment",
    )
    assert rows["NOTION_PLAN"]["source"] == str(tmp_path / ".env")
    assert (rows["HIGHERSELF_LOG"]["value"], rows["HIGHERSELF_LOG"]["source"]) == (
        "console",
        "default",
    )
    assert rows["NOTION_TOKEN"]["value"] == ""
    assert rows["HIGHERSELF_EMBEDDING_TIERS"]["value"] == "voyage,openai,local"


@pytest.mark.parametrize("name", GOOD)
def test_secrets_are_masked_and_nothing_else(tmp_path: Path, name: str) -> None:
    _, text, expected = GOOD[name]
    settings, sources = loaded(tmp_path, **{name: text})
    (value,) = (row["value"] for row in described(settings, sources) if row["name"] == name)
    if name in SECRETS:
        assert value.startswith("****")
        assert text not in repr(settings)
        assert not set(re.findall(r"\w{5,}", text)) & set(re.findall(r"\w{5,}", value))
    else:
        assert value == as_shown(expected)


def as_shown(value: Any) -> str:
    match value:
        case tuple():
            return ",".join(map(str, value))
        case dict():
            return "; ".join(f"{name}={part}" for name, part in value.items())
        case _:
            return str(value)


def test_a_short_secret_is_masked_whole(tmp_path: Path) -> None:
    settings, sources = loaded(tmp_path, NOTION_TOKEN="short")
    assert "short"[-4:] not in {row["value"] for row in described(settings, sources)}


@pytest.mark.parametrize(
    "name", ["NATS_URL", "OPENAI_BASE_URL", "NOTION_BASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"]
)
def test_a_password_in_an_address_is_masked(tmp_path: Path, name: str) -> None:
    scheme = "nats" if name == "NATS_URL" else "https"
    settings, sources = loaded(tmp_path, **{name: f"{scheme}://me:s3cr3t@host.example:1/x"})
    (value,) = (row["value"] for row in described(settings, sources) if row["name"] == name)
    assert value == f"{scheme}://****@host.example:1/x"
