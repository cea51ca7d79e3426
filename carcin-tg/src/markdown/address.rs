//! Addresses that stand in the text as they are (GFM's extended autolinks).
//!
//! Telegram links them by itself, so they need no entity. But to Markdown `_` and `*` in them are emphasis, and an
//! address without its underscores leads elsewhere. Such characters are escaped before Markdown is read.

use std::{borrow::Cow, ops::Range};

use pulldown_cmark::{Event, Parser, Tag};

use super::{math::overlaps, render::OPTIONS};

/// How an address begins.
const STARTS: [&str; 3] = ["https://", "http://", "www."];

/// What would be read as emphasis.
const MARKUP: [char; 3] = ['_', '*', '~'];

/// Escapes the markup within addresses, outside of code, HTML and links.
pub(super) fn protect(markdown: &str) -> Cow<'_, str> {
    let mut addresses =
        addresses(markdown).filter(|range| markdown[range.clone()].contains(MARKUP)).peekable();
    if addresses.peek().is_none() {
        return Cow::Borrowed(markdown);
    }
    let taken = taken(markdown);
    let mut protected = String::with_capacity(markdown.len() + 16);
    let mut copied = 0;
    for address in addresses.filter(|address| !overlaps(&taken, address)) {
        protected.push_str(&markdown[copied..address.start]);
        for c in markdown[address.clone()].chars() {
            if MARKUP.contains(&c) {
                protected.push('\\');
            }
            protected.push(c);
        }
        copied = address.end;
    }
    protected.push_str(&markdown[copied..]);
    Cow::Owned(protected)
}

/// The addresses in a text, in order.
fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            // Each kind has one of these behind its first letters.
            let at = from + text[from..].find([':', '.'])?;
            let found = STARTS.iter().find_map(|start| start_of(text, at, start));
            let start = found.filter(|&start| start >= from && may_begin(text, start));
            from = at + 1;
            if let Some(start) = start {
                let end = end_of(text, start);
                from = from.max(end);
                return Some(start..end);
            }
        }
    })
}

/// Where the `start` of an address begins whose colon or point is at `at`.
fn start_of(text: &str, at: usize, start: &str) -> Option<usize> {
    let begin = at.checked_sub(start.find([':', '.'])?)?;
    text.get(begin..begin + start.len()).filter(|found| found.eq_ignore_ascii_case(start)).map(|_| begin)
}

/// An address begins a word, or stands in brackets or in emphasis.
fn may_begin(text: &str, at: usize) -> bool {
    text[..at]
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '*' | '_' | '~' | '|' | '"'))
}

/// Where the address ends that begins at `start`: before a blank, a `<` or a bar, and without the punctuation behind it.
fn end_of(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '|' | '`')).unwrap_or(rest.len());
    let mut address = &rest[..length];
    let count = |bracket| address.matches(bracket).count();
    let (opened, mut closed) = (count('('), count(')'));
    loop {
        let ended = address.trim_end_matches(['?', '!', '.', ',', ':', ';', '*', '_', '~', '\'', '"']);
        match ended.strip_suffix(')').filter(|_| closed > opened) {
            Some(inside) => {
                closed -= 1;
                address = inside;
            }
            None => return start + ended.len(),
        }
    }
}

/// Where escapes would be shown, or an address is one already.
fn taken(markdown: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (event, range) in Parser::new_ext(markdown, OPTIONS).into_offset_iter() {
        let taken = matches!(
            event,
            Event::Code(_)
                | Event::InlineMath(_)
                | Event::DisplayMath(_)
                | Event::Html(_)
                | Event::InlineHtml(_)
                | Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::Link { .. } | Tag::Image { .. })
        );
        // What a block contains lies within it.
        if taken && found.last().is_none_or(|last| last.end <= range.start) {
            found.push(range);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{addresses, protect};

    fn found(text: &str) -> Vec<&str> {
        addresses(text).map(|range| &text[range]).collect()
    }

    #[test]
    fn an_address_ends_before_the_punctuation_behind_it() {
        let text = "See https://a.de/x_(y)), **http://b.de/*z** (www.c.de/_d_). Not xhttps://e.de, awww.f.de";
        assert_eq!(found(text), ["https://a.de/x_(y)", "http://b.de/*z", "www.c.de/_d"]);
    }

    #[test]
    fn markup_in_an_address_is_escaped_and_elsewhere_is_not() {
        assert_eq!(protect("_a_ https://a.de/_b_c"), "_a_ https://a.de/\\_b\\_c");
        for left in ["https://a.de/b", "`https://a.de/_b_c`", "[x](https://a.de/_b_c)", "<https://a.de/_b_c>"]
        {
            assert_eq!(protect(left), left);
        }
    }
}
