//! Where a long text is cut.

use super::super::{ENTITY_LIMIT, EntityKind, Text, TextBuilder, render, split, truncate};
use super::marked;

fn texts(parts: &[Text]) -> Vec<&str> {
    parts.iter().map(|part| part.text.as_str()).collect()
}

#[test]
fn a_text_that_fits_stays_whole() {
    let text = render("**a** b");
    assert_eq!(split(&text, 3), [text]);
    assert!(split(&Text::default(), 10).is_empty());
}

#[test]
fn a_cut_prefers_blocks_then_lines_then_words() {
    assert_eq!(texts(&split(&Text::plain("aaaa\n\nbb\ncc dd"), 10)), ["aaaa", "bb\ncc dd"]);
    assert_eq!(texts(&split(&Text::plain("aa aa\nbb cc dd"), 10)), ["aa aa", "bb cc dd"]);
    assert_eq!(texts(&split(&Text::plain("aa bb cc dd"), 10)), ["aa bb cc", "dd"]);
    assert_eq!(texts(&split(&Text::plain("aaaaaaaaaaaa"), 10)), ["aaaaaaaaaa", "aa"]);
}

#[test]
fn a_cut_never_falls_inside_a_character() {
    assert_eq!(texts(&split(&Text::plain("a😀😀"), 2)), ["a", "😀", "😀"]);
    assert_eq!(texts(&split(&Text::plain("abc👩\u{200d}💻"), 6)), ["abc", "👩\u{200d}💻"]);
}

#[test]
fn code_goes_on_as_code_with_its_language_and_indentation() {
    let text = render("```rust\nfn main() {\n    let a = 1;\n\n    let b = 2;\n}\n```");
    let parts: Vec<String> = split(&text, 30).iter().map(marked).collect();
    assert_eq!(parts, ["⟨pre rust:fn main() {\n    let a = 1;⟩", "⟨pre rust:    let b = 2;\n}⟩"],);
}

#[test]
fn formatting_goes_on_after_a_cut() {
    let text = render("> **aaa bbb ccc**");
    let parts: Vec<String> = split(&text, 8).iter().map(marked).collect();
    assert_eq!(parts, ["⟨quote:⟨b:aaa bbb⟩⟩", "⟨quote:⟨b:ccc⟩⟩"]);
}

#[test]
fn a_message_has_no_more_entities_than_telegram_honours() {
    let text = render(&"`a` b\n".repeat(250));
    let parts = split(&text, 4096);
    assert_eq!(parts.iter().map(|part| part.entities.len()).sum::<usize>(), 250);
    assert!(parts.len() >= 3 && parts.iter().all(|part| part.entities.len() <= ENTITY_LIMIT));
}

#[test]
fn a_truncated_text_says_so() {
    assert_eq!(truncate(&Text::plain("aa bb cc"), 7).text, "aa bb…");
    assert_eq!(truncate(&Text::plain("aa bb"), 5).text, "aa bb");
    let code = truncate(&render("`aaaaaaaa`"), 5);
    assert_eq!((code.text.as_str(), code.entities[0].length), ("aaaa…", 4));
}

#[test]
fn a_builder_nests_what_telegram_cannot() {
    let mut card = TextBuilder::new();
    card.bold("Run ").code("ls").newline();
    card.expandable_quote(|quote| {
        quote.quote(|inner| {
            inner.push("in ");
        });
        quote.around(EntityKind::Bold, |bold| {
            bold.push("b ").code("c").link(" d", "https://a.de");
        });
        quote.link(" e", "x.md");
    });
    card.append(&render("*x*"));
    assert_eq!(
        marked(&card.build()),
        "⟨b:Run⟩ ⟨code:ls⟩\n⟨fold:in ⟨b:b⟩ ⟨code:c⟩ ⟨link https://a.de:⟨b:d⟩⟩ e (⟨code:x.md⟩)⟩⟨i:x⟩",
    );
}
