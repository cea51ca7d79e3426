//! Texts that are hard to get right: of emoji alone, from right to left, of what cannot be seen, and a million
//! characters long.

use super::super::{ENTITY_LIMIT, EntityKind, MESSAGE_LIMIT, Text, is_invisible, render, split, utf16_len};
use super::marked;

/// The messages of an answer, each within the limits and together all that can be seen.
fn messages(markdown: &str) -> Vec<Text> {
    let text = render(markdown);
    let parts = split(&text, MESSAGE_LIMIT);
    for part in &parts {
        assert!(part.units() <= MESSAGE_LIMIT && part.entities.len() <= ENTITY_LIMIT && !part.is_blank());
        assert!(part.entities.iter().all(|entity| entity.offset + entity.length <= part.units()));
    }
    let seen = |text: &str| text.chars().filter(|&c| !is_invisible(c)).collect::<String>();
    let together: String = parts.iter().map(|part| seen(&part.text)).collect();
    assert!(together == seen(&text.text), "something is missing, or in another order");
    parts
}

#[test]
fn emoji_alone_are_a_message_and_never_cut() {
    assert_eq!(messages("👍")[0].text, "👍");
    for emoji in ["😀", "👩‍💻", "🇦🇹", "1️⃣", "👋🏽", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"] {
        let many = emoji.repeat(5000 / utf16_len(emoji));
        assert_eq!(messages(&many).iter().map(|part| part.text.as_str()).collect::<String>(), many);
        if emoji != "🇦🇹" {
            // Two letters make a flag, and nothing in the text says where one begins.
            assert!(messages(&many).iter().all(|part| part.text.starts_with(emoji)), "{emoji} is cut");
        }
    }
    assert_eq!(marked(&render("**🦀** `🦀` ~~👩‍💻~~")), "⟨b:🦀⟩ ⟨code:🦀⟩ ⟨s:👩‍💻⟩");
}

#[test]
fn text_from_right_to_left_keeps_its_order_and_its_places() {
    let shown = marked(&render("**שלום** עולם ו`main.rs`\n\n- مرحبا *بالعالم*\n- \u{200f}(x)\n"));
    assert_eq!(shown, "⟨b:שלום⟩ עולם ו⟨code:main.rs⟩\n\n• مرحبا ⟨i:بالعالم⟩\n• \u{200f}(x)");
    // What turns the direction of all that follows would turn what others wrote too.
    assert_eq!(render("safe\u{202e}gpj.exe").text, "safegpj.exe");
}

#[test]
fn what_cannot_be_seen_is_no_message_alone_and_stays_within_one() {
    for nothing in ["", " \n\t", "\u{200b}\u{200d}\u{feff}", "\u{2060}\n\n\u{3164}", "\u{200b}**\u{200b}**"] {
        assert_eq!(messages(nothing).len(), usize::from(nothing.contains('*')), "{nothing:?}");
    }
    assert_eq!(render("a\u{200b}b\u{2060}c").text, "a\u{200b}b\u{2060}c");
}

#[test]
fn what_shows_nothing_as_markdown_is_shown_as_it_is() {
    for source in ["[a]: https://a.de", "```\n```", "#", "[]()", "| |\n|-|\n", "<!-- -->", "> "] {
        assert!(!messages(source).is_empty(), "{source:?} is lost");
    }
    assert_eq!(render("[a]: https://a.de").text, "[a]: https://a.de");
}

#[test]
fn letters_with_any_number_of_marks_are_kept() {
    let zalgo = "e\u{301}\u{323}\u{489}".repeat(3000);
    assert!(messages(&zalgo).iter().all(|part| part.text.starts_with('e')));
    messages(&format!("a{}", "\u{301}".repeat(10_000)));
}

/// A million characters, made of one piece: what takes a time for each piece that grows with the whole never ends.
const MILLION: usize = 1_000_000;

#[test]
fn a_million_characters_of_openings_become_messages() {
    for piece in ["\\(", "[", "*a _b ", "<b>", "1. ", "`"] {
        let source = piece.repeat(MILLION / piece.len());
        assert!(!messages(&source).is_empty(), "{piece:?}");
    }
}

#[test]
fn a_million_characters_of_formatting_become_messages() {
    for piece in ["> `a` **b**\n", "main.rs ", "[a](https://a.de) ", "e\u{301}"] {
        let source = piece.repeat(MILLION / piece.chars().count());
        assert!(messages(&source).len() > 20, "{piece:?}");
    }
}

#[test]
fn a_million_characters_in_one_block_become_messages() {
    for (head, piece, foot) in [
        ("```rust\n", "let a = 1;\n", "```"),
        ("| a | b |\n|---|---|\n", "| 1 | a longer cell that does not fit a phone |\n", ""),
        ("> ", "`a` ", ""),
    ] {
        let source = [head, &piece.repeat(MILLION / piece.len()), foot].concat();
        let parts = messages(&source);
        assert!(parts.len() > 200, "{head:?}: {} parts", parts.len());
        if head.starts_with("```") {
            let language = Some("rust".to_owned());
            let whole = |part: &Text| match &part.entities[..] {
                [one] => {
                    (one.offset, one.length) == (0, part.units())
                        && one.kind == EntityKind::Pre { language: language.clone() }
                }
                _ => false,
            };
            assert!(parts.iter().all(whole), "a block of code goes on as one");
        }
    }
}
