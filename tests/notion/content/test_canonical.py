"""What contents are compared by, and what is read out of them."""

from higherself.notion.content import (
    canonical,
    content_hash,
    headings,
    links,
    parse,
    plain_text,
    to_knowledge_markdown,
    web_links,
)

PAGE = """# Care {color="blue"}
See <mention-page url="https://www.notion.so/acme/Oils-0123456789abcdef0123456789abcdef?pvs=4">Oils</mention-page> and [the *list*](https://example.com/list).
- [x] Order **lavender**
\t- Ask <mention-user url="user://f123456789abcdef0123456789abcdef">Ana</mention-user>
## Numbers
<table header-row="true">
\t<tr>
\t\t<td>Oil</td>
\t\t<td>Price | unit</td>
\t</tr>
\t<tr>
\t\t<td>Lavender</td>
\t\t<td>$`9 + 1`$</td>
\t</tr>
</table>
```python
print("# no heading")

x = 1
```
![A field](https://prod-files-secure.s3.us-west-2.amazonaws.com/a/field.png?X-Amz-Signature=one&X-Amz-Date=1)
<callout icon="💡">
\tMind the **date**: <mention-date start="2026-01-02" startTime="10:00" timeZone="Europe/Berlin"/>
</callout>
"""


def test_signatures_hosts_and_blanks_do_not_count() -> None:
    again = (
        PAGE.replace("Signature=one&X-Amz-Date=1", "Signature=two&X-Amz-Date=2")
        .replace("https://www.notion.so/acme/Oils-0123", "https://app.notion.com/p/0123")
        .replace("?pvs=4", "")
        .replace("# Care", "#  Care")
        .replace("list).\n", "list).  \n\n")
    )
    assert again != PAGE
    assert content_hash(again) == content_hash(PAGE)
    assert "Signature" not in canonical(PAGE)


def test_a_changed_word_counts() -> None:
    assert content_hash(PAGE.replace("lavender", "Lavender")) != content_hash(PAGE)
    assert content_hash(PAGE.replace("[x]", "[ ]")) != content_hash(PAGE)


def test_what_a_page_says() -> None:
    content = parse(PAGE)
    assert headings(content) == [(1, "Care"), (2, "Numbers")]
    assert links(content) == ["01234567-89ab-cdef-0123-456789abcdef"]
    assert web_links(content) == ["https://example.com/list"]
    assert plain_text(content).splitlines()[1] == "See Oils and the list."


def test_markdown_for_the_hub() -> None:
    assert (
        to_knowledge_markdown(parse(PAGE), title="Aromatherapy")
        == """# Aromatherapy

## Care

See Oils and the list (https://example.com/list).

- [x] Order lavender
  - Ask @Ana

### Numbers

| Oil | Price \\| unit |
|---|---|
| Lavender | $9 + 1$ |

```python
print("# no heading")

x = 1
```

A field (https://prod-files-secure.s3.us-west-2.amazonaws.com/a/field.png)

> 💡 Mind the date: 2026-01-02T10:00 (Europe/Berlin)
"""
    )


def test_ordinary_markdown_becomes_the_blocks_it_means() -> None:
    text = "* a\n    * b\n* c\n\n1) one\n   - two\n\n***\n\n| a | b |\n|---|:-:|\n| 1 | 2 |"
    assert canonical(text) == (
        "- a\n\t- b\n- c\n1. one\n\t- two\n---\n"
        '<table header-row="true">\n\t<tr>\n\t\t<td>a</td>\n\t\t<td>b</td>\n\t</tr>\n'
        "\t<tr>\n\t\t<td>1</td>\n\t\t<td>2</td>\n\t</tr>\n</table>"
    )
