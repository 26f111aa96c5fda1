"""Every setting, read once from the environment and `.env`, checked, frozen, each with its source."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails

from higherself.app.named import read_named
from higherself.app.per_business import PerBusiness
from higherself.app.road_order import RoadOrder
from higherself.app.tier_names import BUILT_IN_TIERS, RERANKERS, PerTier, tier_order
from higherself.app.token_price import TokenPrice
from higherself.inbound.businesses import Businesses
from higherself.kernel.errors import Misconfigured
from higherself.outbound.policy import AllowList

DOTENV = ".env"
SECRETS_BEGIN = "HIGHERSELF_SECRET_"


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url.rstrip("/")


def _postgres(url: SecretStr) -> SecretStr:
    from higherself.db.inspection import url_fault

    if fault := url_fault(url.get_secret_value()):
        raise ValueError(fault)
    return url


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _daily_tokens(given: object) -> PerTier:
    return PerTier.read(given, also=RERANKERS.values())


def _language_model(name: str) -> str:
    vendor, _, model = name.partition(":")
    if name == "template" or (vendor in _VENDORS and model.strip()):
        return name
    known = ", ".join(f"{each}:MODEL" for each in _VENDORS)
    raise ValueError(f"{name!r} is neither template nor one of {known}")


def _mail_server(url: SecretStr) -> SecretStr:
    from higherself.outbound.mail import MailServer

    MailServer.read(url.get_secret_value())
    return url


def _senders(given: object) -> Mapping[str, str]:
    from email.utils import parseaddr

    senders = read_named(given, alone="*")
    for each in senders.values():
        if "@" not in parseaddr(each)[1]:
            raise ValueError(f"{each!r} is no e-mail address")
    return senders


def _targets(given: SecretStr) -> SecretStr:
    for each in read_named(given.get_secret_value(), alone="team").values():
        _http(each)
    return given


_VENDORS = ("anthropic", "openai", "openai-chat", "openai-responses")


Url = Annotated[str, AfterValidator(_http)]
Folder = Annotated[Path, AfterValidator(_absolute)]


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("higherself", appauthor=False)


def _setting(name: str, example: str, description: str, **more: Any) -> Any:
    return Field(
        validation_alias=name,
        description=description,
        examples=[example],
        json_schema_extra={"name": name},
        **more,
    )


class Settings(BaseModel):
    """What an operator can set. Unset means the default; an empty value means unset."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    database_url: Annotated[SecretStr, AfterValidator(_postgres)] | None = _setting(
        "DATABASE_URL",
        "postgresql://user:password@db.example.org:5432/postgres",
        "The PostgreSQL to use; unset: an embedded one in HIGHERSELF_HOME.",
        default=None,
    )
    home: Folder = _setting(
        "HIGHERSELF_HOME",
        "/var/lib/higherself",
        "Where this installation keeps its data.",
        default_factory=_default_home,
    )
    notion_token: SecretStr | None = _setting(
        "NOTION_TOKEN", "ntn_...", "The token of the Notion integration.", default=None
    )
    notion_base_url: Url = _setting(
        "NOTION_BASE_URL",
        "https://api.notion.com",
        "Where the Notion API answers.",
        default="https://api.notion.com",
    )
    notion_webhook_token: SecretStr | None = _setting(
        "NOTION_WEBHOOK_TOKEN",
        "secret_...",
        "The verification token of Notion's webhooks.",
        default=None,
    )
    notion_plan: Literal["free", "plus", "business", "enterprise"] = _setting(
        "NOTION_PLAN", "plus", "The Notion plan, which decides the request budget.", default="free"
    )
    notion_parent_page: str | None = _setting(
        "NOTION_PARENT_PAGE",
        "https://www.notion.so/HigherSelf-0123456789abcdef0123456789abcdef",
        "The Notion page under which databases are made: its address or its id.",
        default=None,
        min_length=1,
    )
    notion_entity: str = _setting(
        "NOTION_ENTITY",
        "gallery",
        "The business that Notion pages outside of the databases belong to.",
        default="default",
        min_length=1,
    )
    notion_conflicts: Literal["manual", "notion_wins", "store_wins"] = _setting(
        "NOTION_CONFLICTS",
        "notion_wins",
        "Whose version stays when a text of ours was changed in Notion, too; manual: a person decides.",
        default="manual",
    )
    notion_roles: str = _setting(
        "NOTION_ROLES",
        "owner: ada@example.org; curator: ada@example.org, ben@example.org",
        "Which people in Notion have which role, by e-mail address or user id, for approvals there.",
        default="",
    )
    notion_status_edited: Literal["replace", "leave"] = _setting(
        "NOTION_STATUS_EDITED",
        "leave",
        "What becomes of the server's part of an instance's page when a person has changed it; replace: it is written anew, and their words are kept beneath.",
        default="replace",
    )
    notion_status_removed: Literal["leave", "recreate"] = _setting(
        "NOTION_STATUS_REMOVED",
        "recreate",
        "What becomes of an instance's page in the trash when something happens to the instance.",
        default="leave",
    )
    voyage_api_key: SecretStr | None = _setting(
        "VOYAGE_API_KEY", "pa-...", "The key for Voyage AI's embeddings.", default=None
    )
    voyage_base_url: Url = _setting(
        "VOYAGE_BASE_URL",
        "https://api.voyageai.com/v1",
        "Where Voyage AI answers.",
        default="https://api.voyageai.com/v1",
    )
    voyage_model: str = _setting(
        "VOYAGE_MODEL",
        "voyage-4-lite",
        "Voyage's model for embeddings. The models voyage-4-large, voyage-4 and voyage-4-lite "
        "share an embedding space; any other change of the model is a new space.",
        default="voyage-4",
        min_length=1,
    )
    voyage_dimensions: int | None = _setting(
        "VOYAGE_DIMENSIONS",
        "512",
        "The dimensions of Voyage's embeddings: 256, 512, 1024 or 2048; unset: the model's own. "
        "Of a model that this release does not know, how many it has.",
        default=None,
        ge=1,
        le=4000,
    )
    openai_api_key: SecretStr | None = _setting(
        "OPENAI_API_KEY", "sk-...", "The key for OpenAI.", default=None
    )
    openai_base_url: Url = _setting(
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        "Where OpenAI, or a server that speaks its protocol, answers.",
        default="https://api.openai.com/v1",
    )
    openai_embedding_model: str = _setting(
        "OPENAI_EMBEDDING_MODEL",
        "text-embedding-3-large",
        "OpenAI's model for embeddings, or that of another server at OPENAI_BASE_URL.",
        default="text-embedding-3-small",
        min_length=1,
    )
    openai_embedding_dimensions: int | None = _setting(
        "OPENAI_EMBEDDING_DIMENSIONS",
        "512",
        "The dimensions of OpenAI's embeddings, if fewer than the model's own. Of a model that is "
        "not OpenAI's, how many it has.",
        default=None,
        ge=1,
        le=4000,
    )
    anthropic_api_key: SecretStr | None = _setting(
        "ANTHROPIC_API_KEY", "sk-ant-...", "The key for Anthropic.", default=None
    )
    anthropic_base_url: Url = _setting(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "Where Anthropic answers.",
        default="https://api.anthropic.com",
    )
    llm: Annotated[str, AfterValidator(_language_model)] = _setting(
        "HIGHERSELF_LLM",
        "anthropic:claude-sonnet-5",
        "The language model agents use: `anthropic:MODEL`, `openai:MODEL` (or `openai-chat:MODEL`, "
        "`openai-responses:MODEL`, to choose how a server at OPENAI_BASE_URL is spoken to); "
        "`template`: none, fixed templates do the work.",
        default="template",
        min_length=1,
    )
    llm_price: Annotated[TokenPrice, BeforeValidator(TokenPrice.read)] | None = _setting(
        "HIGHERSELF_LLM_PRICE",
        "3,15",
        "What the language model costs, in dollars a million tokens of input and of output; unset: "
        "what is known of Anthropic's and OpenAI's models, and nothing for other servers.",
        default=None,
    )
    llm_daily_usd: Annotated[PerBusiness, BeforeValidator(PerBusiness.dollars)] = _setting(
        "HIGHERSELF_LLM_DAILY_USD",
        "5,gallery=20",
        "The most dollars a day (in UTC) that a business may spend on the language model, all "
        "processes together: an amount for each, BUSINESS=AMOUNT for one, `none` for no limit. Then "
        "templates do the work until midnight.",
        default="5",
    )
    llm_daily_tokens: Annotated[PerBusiness, BeforeValidator(PerBusiness.counts)] | None = _setting(
        "HIGHERSELF_LLM_DAILY_TOKENS",
        "2000000,gallery=500000",
        "The most tokens a day that a business may use, in the same way. Unset: no limit.",
        default=None,
    )
    embedding_tiers: Annotated[tuple[str, ...], AfterValidator(tier_order)] = _setting(
        "HIGHERSELF_EMBEDDING_TIERS",
        "voyage,openai,local",
        "Embedding providers in the order in which they are tried: voyage, openai, local, and "
        "those of installed packages.",
        default=BUILT_IN_TIERS,
        min_length=1,
    )
    embedding_concurrency: Annotated[PerTier, BeforeValidator(PerTier.read)] = _setting(
        "HIGHERSELF_EMBEDDING_CONCURRENCY",
        "4,openai=2",
        "How many batches of documents a tier that is not on this machine embeds at once: a "
        "number for all of them, TIER=NUMBER for one. Questions are never held up.",
        default=PerTier({}, 4),
    )
    embedding_daily_tokens: Annotated[PerTier, BeforeValidator(_daily_tokens)] | None = _setting(
        "HIGHERSELF_EMBEDDING_DAILY_TOKENS",
        "voyage=5000000,openai=1000000",
        "The most tokens a day (in UTC) that a tier that is not on this machine may use, all "
        "processes together; then it rests until midnight. The same for the reranker, as "
        "voyage-rerank or openai-rerank. Unset: no limit.",
        default=None,
    )
    reranker: Literal["voyage", "openai"] | None = _setting(
        "HIGHERSELF_RERANKER",
        "voyage",
        "Who puts hits in order when a search asks for it: `voyage`, or `openai` for a server "
        "with the route /rerank beside OpenAI's protocol. Unset: nobody.",
        default=None,
    )
    reranker_model: str | None = _setting(
        "HIGHERSELF_RERANKER_MODEL",
        "rerank-2.5-lite",
        "The reranker's model; unset: rerank-2.5 of Voyage.",
        default=None,
        min_length=1,
    )
    reranker_base_url: Url | None = _setting(
        "HIGHERSELF_RERANKER_BASE_URL",
        "http://gpu.example.org:8000/v1",
        "Where the reranker `openai` answers; unset: OPENAI_BASE_URL, with OPENAI_API_KEY.",
        default=None,
    )
    reranker_api_key: SecretStr | None = _setting(
        "HIGHERSELF_RERANKER_API_KEY",
        "sk-...",
        "The key for HIGHERSELF_RERANKER_BASE_URL, if it wants one.",
        default=None,
    )
    reranker_window: int | None = _setting(
        "HIGHERSELF_RERANKER_WINDOW",
        "512",
        "How many tokens the reranker's model takes of question and passage together; unset: as "
        "many as Voyage says of its model, 8000 of any other.",
        default=None,
        ge=64,
        le=1_000_000,
    )
    nats_url: str | None = _setting(
        "NATS_URL",
        "nats://user:password@nats.example.org:4222",
        "A NATS server with JetStream, as another road for messages; several of one cluster with "
        "commas between. A user and password, or a token, stand before the `@`.",
        default=None,
        pattern=r"^(nats|tls)://",
    )
    nats_creds: Folder | None = _setting(
        "NATS_CREDS",
        "/etc/higherself/nats.creds",
        "The file with the credentials for NATS, if they are not in NATS_URL.",
        default=None,
    )
    nats_monitoring_url: Url | None = _setting(
        "NATS_MONITORING_URL",
        "http://nats.example.org:8222",
        "Where the monitoring of the NATS server answers, which tells whether it syncs every write; "
        "unset: port 8222 of the host in NATS_URL.",
        default=None,
    )
    nats_replicas: int = _setting(
        "NATS_REPLICAS",
        "3",
        "On how many NATS servers a message is kept: 3 or 5 in a cluster. With 1, the server has to "
        "sync every write.",
        default=1,
        ge=1,
        le=5,
    )
    roads: Annotated[RoadOrder, BeforeValidator(RoadOrder.read)] = _setting(
        "HIGHERSELF_ROADS",
        "durable=nats,postgres;ephemeral=memory,nats,postgres",
        "Which way messages take first, and which next if that does not answer: those that have to "
        "last (durable: postgres, nats), and those for whoever hears now (ephemeral: memory, nats, "
        "and postgres last, which keeps what nobody hears). One that is left out is not used; unset: "
        "durable=postgres,nats; ephemeral=memory,nats,postgres.",
        default=RoadOrder(),
    )
    spool: Literal["on", "off"] = _setting(
        "HIGHERSELF_SPOOL",
        "on",
        "Whether messages that nothing else can keep just now are kept in a folder of "
        "HIGHERSELF_HOME, and brought to the database when it answers again.",
        default="off",
    )
    delivery: Literal["live", "sandbox", "testing"] = _setting(
        "HIGHERSELF_DELIVERY",
        "live",
        "To whom messages go out: `live`, everybody; `sandbox`, those on HIGHERSELF_ALLOW_LIST, and "
        "what is for others is held; `testing`, anybody, by servers on this machine alone.",
        default="sandbox",
    )
    allow_list: Annotated[AllowList, BeforeValidator(AllowList.read)] = _setting(
        "HIGHERSELF_ALLOW_LIST",
        "ana@example.org,@gallery.example,hooks.slack.com",
        "Who may be written to in the sandbox: addresses, @domains, telephone numbers, and the hosts "
        "of webhooks.",
        default=AllowList(),
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_mail_server)] | None = _setting(
        "SMTP_URL",
        "smtp://user:password@mail.example.org:587",
        "Where e-mail goes out: smtp:// with STARTTLS, or smtps://.",
        default=None,
    )
    mail_from: Annotated[Mapping[str, str], BeforeValidator(_senders)] = _setting(
        "MAIL_FROM",
        "The 7 Space <hello@the7space.example>; am_consulting=AM Consulting <office@am.example>",
        "Who e-mail is from: one for all, BUSINESS=SENDER for one.",
        default={},
    )
    slack_webhook_url: Annotated[SecretStr, AfterValidator(_targets)] | None = _setting(
        "SLACK_WEBHOOK_URL",
        "https://hooks.slack.com/services/T0/B0/x; sales=https://hooks.slack.com/services/T0/B1/y",
        "Incoming webhooks of Slack, or what speaks like it: one alone is called `team`; others as "
        "NAME=URL, or BUSINESS.NAME=URL for one business.",
        default=None,
    )
    slack_signing_secret: SecretStr | None = _setting(
        "SLACK_SIGNING_SECRET",
        "a-long-secret",
        "The secret that notices are signed with, for receivers that check it. Unset: not signed.",
        default=None,
    )
    webhook_targets: Annotated[SecretStr, AfterValidator(_targets)] | None = _setting(
        "HIGHERSELF_WEBHOOK_TARGETS",
        "softr=https://api.example.org/hooks/softr; crm=https://crm.example.org/hooks",
        "Where webhooks go out to: NAME=URL, or BUSINESS.NAME=URL; nothing else is written to.",
        default=None,
    )
    webhook_signing_secret: SecretStr | None = _setting(
        "WEBHOOK_SIGNING_SECRET",
        "whsec_...",
        "The secret that webhooks going out are signed with, as Standard Webhooks.",
        default=None,
    )
    sms_url: Url | None = _setting(
        "SMS_URL",
        "https://sms.example.org/messages",
        "The gateway that texts are given to: a POST of JSON with to, text, from and id.",
        default=None,
    )
    sms_token: SecretStr | None = _setting(
        "SMS_TOKEN", "a-long-secret", "The bearer token for SMS_URL.", default=None
    )
    sms_from: str = _setting("SMS_FROM", "+19735550170", "Who texts are from.", default="")
    drop_folder: Folder | None = _setting(
        "HIGHERSELF_DROP_FOLDER",
        "/srv/higherself/published",
        "Where files are put that go out; unset: the folder `dropped` in HIGHERSELF_HOME.",
        default=None,
    )
    typeform_webhook_secret: SecretStr | None = _setting(
        "TYPEFORM_WEBHOOK_SECRET",
        "a-long-secret,the-one-before",
        "The secret that Typeform signs webhooks with; several with commas between while one replaces another. The same goes for the others. Unset: its webhooks are refused.",
        default=None,
    )
    woocommerce_webhook_secret: SecretStr | None = _setting(
        "WOOCOMMERCE_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that WooCommerce signs webhooks with.",
        default=None,
    )
    amelia_webhook_secret: SecretStr | None = _setting(
        "AMELIA_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that comes with Amelia's webhooks in the header X-Webhook-Secret.",
        default=None,
    )
    acuity_api_key: SecretStr | None = _setting(
        "ACUITY_API_KEY",
        "a-long-secret",
        "The API key of Acuity Scheduling, which signs its webhooks.",
        default=None,
    )
    circle_webhook_secret: SecretStr | None = _setting(
        "CIRCLE_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that comes with Circle's webhooks in the header X-Webhook-Secret.",
        default=None,
    )
    beehiiv_webhook_secret: SecretStr | None = _setting(
        "BEEHIIV_WEBHOOK_SECRET",
        "whsec_...",
        "The signing secret of Beehiiv's webhooks.",
        default=None,
    )
    stripe_webhook_secret: SecretStr | None = _setting(
        "STRIPE_WEBHOOK_SECRET",
        "whsec_...",
        "The signing secret of Stripe's webhooks.",
        default=None,
    )
    userfeedback_webhook_secret: SecretStr | None = _setting(
        "USERFEEDBACK_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that comes with UserFeedback's webhooks in the header X-Webhook-Secret.",
        default=None,
    )
    tutorlm_webhook_secret: SecretStr | None = _setting(
        "TUTORLM_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that comes with TutorLM's webhooks in the header X-Webhook-Secret.",
        default=None,
    )
    snovio_webhook_secret: SecretStr | None = _setting(
        "SNOVIO_WEBHOOK_SECRET",
        "a-long-secret",
        "The secret that comes with Snov.io's webhooks in the header X-Webhook-Secret.",
        default=None,
    )
    webhook_secret: SecretStr | None = _setting(
        "WEBHOOK_SECRET",
        "whsec_...",
        "The secret of webhooks that are signed as Standard Webhooks, whoever sends them.",
        default=None,
    )
    acuity_user_id: str | None = _setting(
        "ACUITY_USER_ID",
        "12345678",
        "The user id of Acuity Scheduling's API, to ask it what its webhooks leave out: who booked, "
        "and when. Unset: it is not asked.",
        default=None,
        min_length=1,
    )
    acuity_base_url: Url = _setting(
        "ACUITY_BASE_URL",
        "https://acuityscheduling.com/api/v1",
        "Where Acuity Scheduling's API answers.",
        default="https://acuityscheduling.com/api/v1",
    )
    webhook_businesses: Annotated[Businesses, BeforeValidator(Businesses.read)] = _setting(
        "HIGHERSELF_WEBHOOK_BUSINESSES",
        "typeform:form:lT4Z3j=the_7_space,acuity=the_connection_practice,*=higherself",
        "Which business what comes by webhook belongs to: SOURCE:PLACE=BUSINESS for a form, a "
        "calendar, a product and so on, SOURCE=BUSINESS for all else of a source, *=BUSINESS for the "
        "rest. Unset: what the rows of businesses say in Notion.",
        default=Businesses({}),
    )
    webhook_rate: int = _setting(
        "HIGHERSELF_WEBHOOK_RATE",
        "3000",
        "How many webhooks a minute are taken of one source from one address; more are told to come "
        "again later.",
        default=60_000,
        ge=1,
        le=10_000_000,
    )
    host: str = _setting(
        "HIGHERSELF_HOST",
        "127.0.0.1",
        "The address to listen on: loopback, until there are API keys.",
        default="127.0.0.1",
        min_length=1,
    )
    port: int = _setting(
        "HIGHERSELF_PORT", "8787", "The port to listen on.", default=8787, ge=1, le=65535
    )
    mcp: Literal["read", "all", "off"] = _setting(
        "HIGHERSELF_MCP",
        "all",
        "What assistants are offered at `/mcp` (Model Context Protocol): `read`, the search and the "
        "skills that only look; `all`, also those that change something; `off`, nothing.",
        default="read",
    )
    a2a: Literal["read", "all", "off"] = _setting(
        "HIGHERSELF_A2A",
        "all",
        "What agents elsewhere may ask for (Agent2Agent): `read`, work of the agents here, the search "
        "and the skills that only look; `all`, also skills that change something; `off`, nothing.",
        default="read",
    )
    url: Url | None = _setting(
        "HIGHERSELF_URL",
        "https://network.example.org",
        "Where others reach this server, if a proxy stands before it: the agent card names it.",
        default=None,
    )
    log: Literal["console", "json"] = _setting(
        "HIGHERSELF_LOG", "json", "How log lines look.", default="console"
    )
    extensions: tuple[Folder, ...] = _setting(
        "HIGHERSELF_EXTENSIONS",
        "/srv/higherself/skills:/srv/higherself/workflows",
        "Folders whose Python files and workflows are loaded at start.",
        default=(),
    )
    otel_endpoint: Url | None = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://localhost:4318",
        "Where OpenTelemetry traces go (needs the extra `otel`).",
        default=None,
    )

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return the environment variable of each field."""
        return {name: str(field.validation_alias) for name, field in cls.model_fields.items()}


_SEPARATORS = {"HIGHERSELF_EMBEDDING_TIERS": ",", "HIGHERSELF_EXTENSIONS": ":"}


def load_settings(
    environment: dict[str, str] | None = None, *, folder: Path | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return the settings and, for each name that is set, where it was: `environment` or `.env`.

    The environment wins over `.env` in ``folder`` (the current one).

    Raises
        Misconfigured: naming every wrong setting, what is wrong with it, and an example.
    """
    sources: dict[str, str] = {}
    values: dict[str, Any] = {}
    known = set(Settings.names().values())
    for source, layer in _layers(environment, folder):
        for name, value in layer.items():
            if name in known and value:
                values[name], sources[name] = _parsed(name, value), source
    try:
        return Settings.model_validate(values), sources
    except ValidationError as error:
        raise Misconfigured(_explain(error.errors())) from None


def load_secrets(
    environment: dict[str, str] | None = None, *, folder: Path | None = None
) -> dict[str, str]:
    """Return the secrets for workflows, by their names in capitals; from where settings are, too.

    Raises
        Misconfigured: `.env` cannot be read.
    """
    return {
        name.removeprefix(SECRETS_BEGIN).upper(): value
        for _, layer in _layers(environment, folder)
        for name, value in layer.items()
        if name.startswith(SECRETS_BEGIN) and value
    }


def load_notion_databases(
    environment: dict[str, str] | None = None, *, folder: Path | None = None
) -> dict[str, str]:
    """Return the databases in Notion to adopt, by the variables NOTION_..._DB that name them.

    Raises
        Misconfigured: `.env` cannot be read.
    """
    return {
        name: value
        for _, layer in _layers(environment, folder)
        for name, value in layer.items()
        if name.startswith("NOTION_") and name.endswith("_DB") and value
    }


def _layers(
    environment: dict[str, str] | None, folder: Path | None
) -> tuple[tuple[str, Mapping[str, str | None]], ...]:
    """Return what is set, by where; what comes later wins."""
    from dotenv import dotenv_values

    path = (folder or Path.cwd()) / DOTENV
    surrounding = dict(os.environ) if environment is None else environment
    try:
        written = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}); correct or remove it") from error
    return ((str(path), written), ("environment", surrounding))


def _parsed(name: str, value: str) -> Any:
    if name not in _SEPARATORS:
        return value
    return tuple(part.strip() for part in value.split(_SEPARATORS[name]) if part.strip())


def _explain(errors: list[ErrorDetails]) -> str:
    fields = {str(field.validation_alias): field for field in Settings.model_fields.values()}
    lines = []
    for error in errors:
        name = str(error["loc"][0])
        example = (fields[name].examples or [""])[0]
        wrong = error["msg"].removeprefix("Value error, ")
        lines.append(
            f"{name} is wrong: {wrong[0].lower()}{wrong[1:]}; for example {name}={example}"
        )
    return "\n".join(dict.fromkeys(lines))


def described(settings: Settings, sources: dict[str, str]) -> list[dict[str, str]]:
    """Return each setting's name, value (secrets masked), source and description."""
    rows = []
    for field, name in Settings.names().items():
        value = getattr(settings, field)
        rows.append(
            {
                "name": name,
                "value": _shown(value),
                "source": sources.get(name, "default"),
                "description": Settings.model_fields[field].description or "",
            }
        )
    return rows


_CREDENTIALS = re.compile(r"//[^/@]+@")


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            secret = value.get_secret_value()
            return f"****{secret[-4:]}" if len(secret) >= 16 else "****"
        case tuple():
            return ",".join(str(part) for part in value)
        case Mapping():
            return "; ".join(f"{name}={part}" for name, part in value.items())
        case _:
            return _CREDENTIALS.sub("//****@", str(value))
