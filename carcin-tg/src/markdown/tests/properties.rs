//! What holds for any input.

use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::super::{
    ENTITY_LIMIT, Entity, EntityKind, MESSAGE_LIMIT, Text, address, canonical::canonical, is_invisible, math,
    render, render::OPTIONS, split, truncate, utf16_len,
};
use super::corpus::{extensions, specification};

/// Everything that must hold for a text which is to be sent.
fn check(text: &Text) {
    let units: Vec<u16> = text.text.encode_utf16().collect();
    for entity in &text.entities {
        let range = entity.offset..entity.offset + entity.length;
        assert!(entity.length > 0 && range.end <= units.len(), "outside the text: {entity:?} of {text:?}");
        let inside = String::from_utf16(&units[range]).expect("entities are on character boundaries");
        let meant = |at: usize| {
            text.entities.iter().any(|e| is_code(&e.kind) && e.offset <= at && at < e.offset + e.length)
        };
        let (first, last) = (entity.offset, entity.offset + entity.length - 1);
        assert!(
            meant(first) || inside.trim_start() == inside,
            "whitespace at the start: {entity:?} of {text:?}"
        );
        assert!(meant(last) || inside.trim_end() == inside, "whitespace at the end: {entity:?} of {text:?}");
    }
    for (index, a) in text.entities.iter().enumerate() {
        for b in &text.entities[index + 1..] {
            check_pair(a, b, text);
        }
    }
    let again = Text { entities: canonical(&text.text, text.entities.clone()), text: text.text.clone() };
    assert_eq!(inked(&again), inked(text), "not canonical: {text:?}");
}

fn check_pair(a: &Entity, b: &Entity, text: &Text) {
    let (a_end, b_end) = (a.offset + a.length, b.offset + b.length);
    assert!(a.offset < b.offset || (a.offset == b.offset && b_end <= a_end), "out of order: {text:?}");
    if b.offset >= a_end {
        return;
    }
    assert!(b_end <= a_end, "{a:?} and {b:?} cross in {text:?}");
    assert!(!is_code(&a.kind), "{b:?} is inside code {a:?} in {text:?}");
    assert!(a.kind != b.kind, "{a:?} is inside its like in {text:?}");
    assert!(!is_code(&b.kind) || is_quote(&a.kind), "the code {b:?} is inside {a:?} in {text:?}");
    assert!(!is_quote(&b.kind), "the quote {b:?} is inside {a:?} in {text:?}");
}

fn is_code(kind: &EntityKind) -> bool {
    matches!(kind, EntityKind::Code | EntityKind::Pre { .. })
}

fn is_quote(kind: &EntityKind) -> bool {
    matches!(kind, EntityKind::Blockquote | EntityKind::ExpandableBlockquote)
}

/// Every character that takes ink, with the kinds that cover it.
fn inked(text: &Text) -> Vec<(char, Vec<String>)> {
    let mut unit = 0;
    let mut inked = Vec::new();
    for c in text.text.chars() {
        if !is_invisible(c) {
            let covers = |entity: &&Entity| entity.offset <= unit && unit < entity.offset + entity.length;
            let covering = text.entities.iter().filter(covers);
            let mut kinds: Vec<String> = covering.map(|entity| format!("{:?}", entity.kind)).collect();
            kinds.sort();
            inked.push((c, kinds));
        }
        unit += c.len_utf16();
    }
    inked
}

/// Checks the parts of `text`, and that together they show what it shows.
fn check_split(text: &Text, limit: usize) {
    let parts = split(text, limit);
    for part in &parts {
        check(part);
        assert!(part.units() <= limit, "{} units in {part:?}", part.units());
        assert!(part.entities.len() <= ENTITY_LIMIT);
        assert!(!part.is_blank(), "blank: {part:?}");
        assert_eq!(part.text.trim_end(), part.text);
        let begins_in_pre = part
            .entities
            .iter()
            .any(|entity| entity.offset == 0 && matches!(entity.kind, EntityKind::Pre { .. }));
        assert!(begins_in_pre || part.text.trim_start() == part.text, "{part:?}");
        assert!(!part.text.starts_with('\n'), "{part:?}");
    }
    let together: Vec<_> = parts.iter().flat_map(inked).collect();
    assert_eq!(together, inked(text));
}

/// Every visible character of the source's text, without its markup.
fn content(markdown: &str) -> String {
    let mut content = String::new();
    for event in Parser::new_ext(markdown, OPTIONS) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) if html.trim().starts_with("<br") => {}
            Event::Text(text)
            | Event::Code(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => content.push_str(&text),
            Event::Start(Tag::FootnoteDefinition(label)) => content.push_str(&label),
            Event::End(TagEnd::Paragraph) => content.push('\n'),
            _ => {}
        }
    }
    content.retain(|c| !is_invisible(c));
    content
}

fn check_rendering(markdown: &str) -> Text {
    let addressed = address::protect(markdown);
    assert_eq!(addressed.replace('\\', ""), markdown.replace('\\', ""), "addresses only gain escapes");
    let protected = math::protect(&addressed);
    let solid = |text: &str| text.replace(|c: char| c.is_whitespace() || c == '`', "");
    assert_eq!(solid(&protected), solid(&addressed), "formulas only gain a fence");

    let text = render(markdown);
    check(&text);
    assert_eq!(text.text.trim_end(), text.text);
    let mut shown = text.text.chars();
    for c in content(&protected).chars() {
        assert!(shown.any(|s| s == c), "{c:?} of {markdown:?} is missing in {:?}", text.text);
    }
    assert_eq!(text.to_message_entities().len(), text.entities.len(), "{text:?}");
    assert_eq!(text.is_blank(), markdown.chars().all(is_invisible), "nothing is shown of {markdown:?}");
    assert_eq!(text.is_blank(), split(&text, MESSAGE_LIMIT).is_empty());
    text
}

#[test]
fn the_specification_keeps_its_content() {
    let examples = specification();
    assert_eq!(examples.len(), 652);
    for (_, markdown) in &examples {
        let text = check_rendering(markdown);
        for limit in [2, 7, 64, MESSAGE_LIMIT] {
            check_split(&text, limit);
        }
    }
}

#[test]
fn gfms_extensions_keep_their_content() {
    for example in extensions() {
        let text = check_rendering(&example.markdown);
        for limit in [2, 7, 64, MESSAGE_LIMIT] {
            check_split(&text, limit);
        }
    }
}

#[test]
fn the_whole_specification_in_one_answer_is_split() {
    let whole: Vec<String> = specification().into_iter().map(|(_, markdown)| markdown).collect();
    let text = check_rendering(&whole.join("\n\n"));
    assert!(split(&text, MESSAGE_LIMIT).len() > 1);
    check_split(&text, MESSAGE_LIMIT);
}

/// Pieces of Markdown that meet each other in every way.
pub(super) fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "word ",
        "main.rs ",
        "/tmp",
        "😀",
        "e\u{301}",
        "👩\u{200d}💻",
        "\u{200b}",
        "\t",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "**",
        "*",
        "_",
        "~~",
        "~",
        "`",
        "``",
        "```",
        "\n```rust\n",
        "\n```\n",
        "\n    ",
        "\n- ",
        "\n  - ",
        "\n1. ",
        "\n- [x] ",
        "- [ ] ",
        "\n> ",
        "\n> > ",
        "> [!NOTE]\n",
        "\n# ",
        "\n## b",
        "\n---\n",
        "[",
        "](",
        "](https://a.de)",
        "](x.md)",
        "![",
        ")",
        "<b>",
        "<br>",
        "<!-- c -->",
        "<https://a.de>",
        "https://a.de/_b_*c*",
        "www.a.de/~~b~~",
        "<mailto:a@b.de>",
        "| ",
        "\n| a | b |\n|---|--:|\n| c | ",
        "|\n",
        "$",
        "$$",
        "x^2",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "\\",
        "\\(",
        "[^1]",
        "\n[^1]: ",
        "&amp;",
        "&#10;",
        "\u{202e}",
        "\u{0}",
        "日本語",
        "a.b",
        "\u{2028}",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

fn any_kind() -> impl Strategy<Value = EntityKind> {
    prop::sample::select(vec![
        EntityKind::Bold,
        EntityKind::Italic,
        EntityKind::Strikethrough,
        EntityKind::Code,
        EntityKind::Pre { language: None },
        EntityKind::Pre { language: Some("rust".to_owned()) },
        EntityKind::TextLink { url: "https://a.de".to_owned() },
        EntityKind::Blockquote,
        EntityKind::ExpandableBlockquote,
    ])
}

/// Entities which need not fit the text nor each other.
fn any_entities() -> impl Strategy<Value = Vec<Entity>> {
    let entity = (any_kind(), 0..60_usize, 0..30_usize).prop_map(|(kind, offset, length)| Entity {
        kind,
        offset,
        length,
    });
    prop::collection::vec(entity, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_markdown_keeps_its_content(markdown in soup()) {
        check_rendering(&markdown);
    }

    #[test]
    fn any_string_is_rendered(markdown in any::<String>()) {
        check_rendering(&markdown);
    }

    #[test]
    fn a_split_shows_the_same(markdown in soup(), limit in 2..80_usize) {
        check_split(&render(&markdown), limit);
    }

    #[test]
    fn any_entities_become_canonical(text in "[ab 😀\n]{0,50}", entities in any_entities(), limit in 2..30_usize) {
        let text = Text { entities: canonical(&text, entities), text };
        check(&text);
        check_split(&text, limit);
    }

    #[test]
    fn a_truncated_text_is_a_beginning(markdown in soup(), limit in 3..80_usize) {
        let text = render(&markdown);
        let short = truncate(&text, limit);
        check(&short);
        prop_assert!(short.units() <= limit);
        let kept = short.text.strip_suffix('…').unwrap_or(&short.text);
        prop_assert!(text.text.starts_with(kept));
        prop_assert_eq!(utf16_len(&short.text), short.text.encode_utf16().count());
    }
}
