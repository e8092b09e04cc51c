"""How the demo's messages look: HTML pages of the very payloads, and the picture of the same alarm.

    driftline demo --report demo.json
    python docs/examples/notifications/render.py demo.json out/
    chromium --headless --window-size=760,600 --screenshot=slack.png out/slack.html

Slack's and PagerDuty's own pages differ in fonts and colours, not in what they say.
"""

import html
import json
import re
import sys
from pathlib import Path

import msgspec

from driftline.contracts.records import Effect
from driftline.demo.notified import gravest, words
from driftline.react.notify.picture import draw

STYLE = """
body { margin: 0; padding: 18px 22px; background: #fff; color: #1d1c1d; width: 700px;
       font: 15px/1.46 Lato, "Helvetica Neue", Arial, "DejaVu Sans", "Noto Color Emoji", sans-serif; }
.said { display: flex; gap: 10px; margin-bottom: 14px; }
.badge { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #2f5d8a; color: #fff;
         font-weight: 700; text-align: center; line-height: 36px; }
.dot { display: inline-block; width: 13px; height: 13px; border-radius: 7px; }
.name { font-weight: 700; }
.app { font-size: 10px; background: #eee; color: #555; border-radius: 3px; padding: 1px 4px; }
h1 { font-size: 18px; margin: 4px 0 6px; } p { margin: 4px 0 8px; white-space: pre-line; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 18px; margin: 6px 0; white-space: pre-line;
          overflow-wrap: anywhere; }
pre { font: 13px/1.35 "DejaVu Sans Mono", monospace; background: #f8f8f8; border: 1px solid #ddd;
      border-radius: 4px; padding: 8px; margin: 4px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } td { padding: 4px 8px; vertical-align: top;
        border-bottom: 1px solid #e5e5e5; overflow-wrap: anywhere; } td:first-child { color: #666; width: 150px; }
.bar { border-left: 6px solid #c9252d; padding-left: 14px; }
.tag { background: #c9252d; color: #fff; border-radius: 3px;
       font-size: 12px; padding: 2px 7px; } .bars { font: 14px "DejaVu Sans Mono", monospace; white-space: pre; }
"""

MARKS = {"🔴": "#d92f2f", "🟠": "#e8832a", "🟡": "#f2c744", "🔵": "#3b82d6", "✅": "#3aa55b"}


def page(body: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}'


def dots(text: str) -> str:
    """Marks as Slack draws them, whatever fonts there are."""
    for mark, colour in MARKS.items():
        text = text.replace(mark, f'<span class="dot" style="background: {colour}"></span>')
    return text


def mrkdwn(text: str) -> str:
    """Slack's mark-up, as far as it is used. What is escaped for Slack is escaped for HTML."""
    text = html.escape(html.unescape(text), quote=False)
    text = re.sub(r"```(.*?)```", r"<pre>\1</pre>", text, flags=re.DOTALL)
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", text)


def slack(payloads: list[dict]) -> str:
    said = []
    for payload in payloads:
        parts = []
        for block in payload["blocks"]:
            if block["type"] == "header":
                parts.append(f"<h1>{dots(mrkdwn(block['text']['text']))}</h1>")
            elif "fields" in block:
                fields = "".join(f"<div>{mrkdwn(field['text'])}</div>" for field in block["fields"])
                parts.append(f'<div class="fields">{fields}</div>')
            else:
                parts.append(f"<p>{mrkdwn(block['text']['text'])}</p>")
        head = '<span class="name">Driftline</span> <span class="app">APP</span>'
        said.append(f'<div class="said"><div class="badge">D</div><div>{head}{"".join(parts)}</div></div>')
    return page("".join(said))


def pagerduty(event: dict) -> str:
    payload = event["payload"]
    rows = {"Status": event["event_action"], "Dedup key": event["dedup_key"], "Client": event["client"]}
    rows |= {name.capitalize(): payload[name] for name in ("source", "component", "group", "class", "timestamp")}
    rows |= payload["custom_details"]
    table = "".join(
        f"<tr><td>{html.escape(name)}</td><td{' class=bars' if name in ('Then', 'Now') else ''}>"
        f"{html.escape(', '.join(value) if isinstance(value, list) else str(value))}</td></tr>"
        for name, value in rows.items()
    )
    tag = f'<span class="tag">{html.escape(payload["severity"].upper())}</span>'
    return page(f'<div class="bar">{tag}<h1>{html.escape(payload["summary"])}</h1><table>{table}</table></div>')


def main(report: Path, out: Path) -> None:
    found = json.loads(report.read_bytes())
    sent = found["notifications"]
    chosen = gravest(sent["slack"], sent["pagerduty"])
    assert chosen is not None, "nothing alarmed"
    message, event = chosen
    over = [m for m in sent["slack"] if event["dedup_key"] in words(m) and m["text"].startswith("✅")]
    out.mkdir(parents=True, exist_ok=True)
    (out / "slack.html").write_text(slack([message, *over[-1:]]), "utf-8")
    (out / "pagerduty.html").write_text(pagerduty(event), "utf-8")
    alarm = next(a for a in found["alarms"] if a["incident"] == event["dedup_key"] and a["evidence"])
    effect = msgspec.convert(alarm["evidence"][0]["effect"], Effect)
    (out / "picture.png").write_bytes(draw(alarm["evidence"][0]["monitor"].rpartition(":")[0], effect))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
