"""What Telegram's own library, TDLib, makes of texts with entities. Works offline.

Reads one JSON object a line, {"text": ..., "entities": [...]} with the Bot API's entities, and
answers each with one line: {"text": ..., "entities": [...]} as TDLib repaired it, with
"found" for what it would link by itself, or {"error": ...} when it refuses the text.

Needs the package `tdjson` from PyPI.
"""

import json
import sys

import tdjson

# TDLib has no offline call that only checks entities. `parseMarkdown` checks those it is given and
# then reads its own markup, so the characters of that markup are masked, one unit for one unit.
MARKUP = {ord(c): "x" for c in "_*`~|[]()\\!"}

NAMES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "blockquote": "BlockQuote",
    "expandable_blockquote": "ExpandableBlockQuote",
}
BACK = {name: kind for kind, name in NAMES.items()}


def execute(request):
    answer = tdjson.td_execute(json.dumps(request).encode())
    return json.loads(answer) if answer else {}


def to_tdlib(entity):
    kind = {"@type": "textEntityType" + NAMES[entity["type"]]}
    if entity["type"] == "text_link":
        kind["url"] = entity["url"]
    if entity.get("language"):
        kind = {"@type": "textEntityTypePreCode", "language": entity["language"]}
    return {"@type": "textEntity", "offset": entity["offset"], "length": entity["length"], "type": kind}


def from_tdlib(entity):
    name = entity["type"]["@type"].removeprefix("textEntityType")
    answer = {"type": BACK.get(name, name), "offset": entity["offset"], "length": entity["length"]}
    if name == "PreCode":
        answer.update(type="pre", language=entity["type"]["language"])
    return answer


def judge(message):
    text = message["text"].translate(MARKUP)
    entities = [to_tdlib(entity) for entity in message["entities"]]
    repaired = execute(
        {"@type": "parseMarkdown", "text": {"@type": "formattedText", "text": text, "entities": entities}}
    )
    if repaired.get("@type") == "error":
        return {"error": repaired["message"]}
    found = execute({"@type": "getTextEntities", "text": message["text"]})
    return {
        "masked": text,
        "text": repaired["text"],
        "entities": [from_tdlib(entity) for entity in repaired["entities"]],
        "found": [from_tdlib(entity) for entity in found.get("entities", [])],
    }


def main():
    execute({"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
