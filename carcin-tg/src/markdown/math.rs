//! LaTeX in Markdown, kept as it was written.
//!
//! To Markdown `\(` is an escaped parenthesis and `_` is emphasis, so `\(a_1\)` would lose its
//! backslashes. Such math is made a code span before Markdown is read.

use std::{borrow::Cow, ops::Range};

use pulldown_cmark::{Event, Parser, Tag};

use super::render::OPTIONS;

/// The longest formula, in bytes: what follows an opening without an end is not searched forever.
const LONGEST: usize = 2000;

/// Whether `text` is a formula rather than a price, a variable or a word in brackets.
pub(super) fn is_formula(text: &str) -> bool {
    text.contains(['\\', '^', '_', '=', '{'])
}

/// Makes code spans of the formulas in `\(…\)` and `\[…\]`, outside of code and HTML.
pub(super) fn protect(markdown: &str) -> Cow<'_, str> {
    if !markdown.contains("\\(") && !markdown.contains("\\[") {
        return Cow::Borrowed(markdown);
    }
    let Surroundings { verbatim, tables } = surroundings(markdown);
    let mut protected = String::with_capacity(markdown.len());
    let mut openings = Openings::default();
    let mut copied = 0;
    let mut from = 0;
    while let Some(found) = markdown[from..].find('\\') {
        let start = from + found;
        // A backslash escapes what follows it, be it another backslash.
        from = start + 1 + markdown[start + 1..].chars().next().map_or(0, char::len_utf8);
        if overlaps(&verbatim, &(start..start + 1)) {
            from = start + 1;
            continue;
        }
        let Some(formula) =
            openings.formula_at(markdown, start).filter(|formula| !overlaps(&verbatim, formula))
        else {
            continue;
        };
        // There, bars and line breaks belong to the table.
        if overlaps(&tables, &formula) && markdown[formula.clone()].contains(['|', '\n']) {
            continue;
        }
        protected.push_str(&markdown[copied..start]);
        push_code(&mut protected, &markdown[formula.clone()]);
        copied = formula.end;
        from = formula.end;
    }
    protected.push_str(&markdown[copied..]);
    Cow::Owned(protected)
}

/// Looks for formulas. What was searched for an end in vain is not searched again, however many openings there are.
#[derive(Default)]
struct Openings {
    /// Up to where there is no end of a round, and of a square one.
    searched: [usize; 2],
}

impl Openings {
    /// The formula that begins at `start`, if one does; `start` only ever grows.
    fn formula_at(&mut self, markdown: &str, start: usize) -> Option<Range<usize>> {
        let (close, searched) = match markdown.as_bytes().get(start + 1)? {
            b'(' => (b')', &mut self.searched[0]),
            b'[' => (b']', &mut self.searched[1]),
            _ => return None,
        };
        let inside = start + 2;
        let end = match closing(markdown.as_bytes(), inside.max(*searched), inside + LONGEST, close) {
            Ok(end) => end,
            Err(reached) => {
                *searched = reached;
                return None;
            }
        };
        let formula = &markdown[inside..end];
        let one_paragraph = formula.lines().skip(1).all(|line| !line.trim().is_empty());
        // Where a link ends or a definition begins inside, the brackets are only brackets.
        let is_link = formula.contains("](") || formula.contains("]:");
        (is_formula(formula) && one_paragraph && !is_link).then_some(start..end + 2)
    }
}

/// Where the backslash before `close` is, from `at` on and before `limit`; else how far there is none. Two backslashes
/// are a line break in a formula.
fn closing(markdown: &[u8], mut at: usize, limit: usize, close: u8) -> Result<usize, usize> {
    while at < limit {
        match (markdown.get(at), markdown.get(at + 1)) {
            (None, _) => break,
            (Some(b'\\'), Some(next)) if *next == close => return Ok(at),
            (Some(b'\\'), _) => at += 2,
            _ => at += 1,
        }
    }
    Err(at)
}

/// Writes `formula` on one line as a code span, with a fence that it does not contain.
fn push_code(markdown: &mut String, formula: &str) {
    let line = formula.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    markdown.extend([&fence, " ", &line, " ", &fence]);
}

/// What the Markdown is at its places, in order.
#[derive(Default)]
struct Surroundings {
    /// Where a backslash is only a backslash.
    verbatim: Vec<Range<usize>>,
    tables: Vec<Range<usize>>,
}

fn surroundings(markdown: &str) -> Surroundings {
    let mut found = Surroundings::default();
    for (event, range) in Parser::new_ext(markdown, OPTIONS).into_offset_iter() {
        let ranges = match event {
            Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => &mut found.verbatim,
            Event::Start(Tag::Table(_)) => &mut found.tables,
            _ => continue,
        };
        // What a block contains lies within it.
        if ranges.last().is_none_or(|last| last.end <= range.start) {
            ranges.push(range);
        }
    }
    found
}

/// Whether one of the sorted `ranges` shares a place with `range`.
pub(super) fn overlaps(ranges: &[Range<usize>], range: &Range<usize>) -> bool {
    let next = ranges.partition_point(|other| other.end <= range.start);
    ranges.get(next).is_some_and(|other| other.start < range.end)
}
