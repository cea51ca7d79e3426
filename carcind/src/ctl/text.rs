//! Text that others wrote, made fit for a terminal; and columns.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;

/// One line: control characters are gone, so that no text can move the cursor or paint the screen; white space is
/// single spaces.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !is_hostile(*c)).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// The same text with its lines, without control characters.
pub(super) fn lines(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hostile(*c)).collect()
}

/// Bytes as they are, on one line: what a terminal would act on, and what is no UTF-8, as an escape.
pub(super) fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if is_hostile(c) => match u8::try_from(c).ok().filter(u8::is_ascii) {
                    Some(byte) => out.extend(std::ascii::escape_default(byte).map(char::from)),
                    None => out.extend(c.escape_unicode()),
                },
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.extend(std::ascii::escape_default(*byte).map(char::from));
        }
    }
    out
}

/// The same JSON, with what a terminal would act on as escapes: that is only ever within its strings.
pub(super) fn harmless_json(json: &str) -> String {
    if !json.contains(is_hostile) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) && c != '\n' {
            // All of them are in the lower plane: four digits suffice.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, and those that turn the direction of writing.
fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `width` columns, the last of them an ellipsis where something is cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out + "…"
}

/// At most `width` columns, the first of them an ellipsis where something is cut.
fn cut_start(text: &str, width: usize) -> String {
    let reversed: String = text.chars().rev().collect();
    cut(&reversed, width).chars().rev().collect()
}

/// The first characters of an id, enough to tell it from others at a glance.
pub(super) fn short(id: &str) -> &str {
    id.char_indices().nth(8).map_or(id, |(end, _)| &id[..end])
}

/// Appends `line` and its end.
pub(super) fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// `1 prompt`, `2 prompts`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// How a cell is painted, once it is padded.
type Paint = fn(Style, &str) -> String;

/// Aligned columns under a header.
pub(super) struct Table {
    header: Vec<&'static str>,
    /// The column that gives way where the line is too long.
    flexible: usize,
    /// Of a cell that is cut, the end is kept: of a path it tells more.
    keep_end: bool,
    rows: Vec<Vec<(String, Option<Paint>)>>,
}

impl Table {
    /// Between two columns.
    const GAP: usize = 2;
    /// The flexible column never gets narrower.
    const NARROWEST: usize = 12;

    pub(super) fn new(header: &[&'static str], flexible: usize) -> Self {
        Self { header: header.to_vec(), flexible, keep_end: false, rows: Vec::new() }
    }

    /// The same, where of a cell that is cut the end is kept.
    pub(super) fn keep_end(mut self) -> Self {
        self.keep_end = true;
        self
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [(String, Option<Paint>); N]) {
        debug_assert_eq!(N, self.header.len(), "a cell for each column");
        self.rows.push(cells.into());
    }

    pub(super) fn render(&self, style: Style) -> String {
        let widths = self.widths(style.width);
        let header: Vec<_> =
            self.header.iter().map(|name| ((*name).to_owned(), Some(Style::dim as Paint))).collect();
        std::iter::once(&header).chain(&self.rows).map(|row| self.line(row, &widths, style)).collect()
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let whole = widths.iter().sum::<usize>() + Self::GAP * (widths.len() - 1);
        let flexible = &mut widths[self.flexible];
        *flexible = flexible.saturating_sub(whole.saturating_sub(width)).max(Self::NARROWEST.min(*flexible));
        widths
    }

    fn line(&self, row: &[(String, Option<Paint>)], widths: &[usize], style: Style) -> String {
        let mut out = String::new();
        let last = row.len() - 1;
        for (column, ((cell, paint), width)) in row.iter().zip(widths).enumerate() {
            let cell = if self.keep_end { cut_start(cell, *width) } else { cut(cell, *width) };
            let padding = if column == last { 0 } else { width - cell.width() + Self::GAP };
            out += &paint.map_or_else(|| cell.clone(), |paint| paint(style, &cell));
            out += &" ".repeat(padding);
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_cannot_paint_the_screen() {
        assert_eq!(one_line("a\x1b[31mb\r\n  c\u{202e}d\u{7}"), "a[31mb cd");
        assert_eq!(lines("a\x1b[2Jb\r\n\tc\u{9b}d"), "a[2Jb\n\tcd");
    }

    #[test]
    fn an_id_is_cut_between_characters() {
        assert_eq!(short("0123456789"), "01234567");
        assert_eq!(short("ßßßßßßßßßß"), "ßßßßßßßß");
        assert_eq!(short("abc"), "abc");
    }

    proptest! {
        #[test]
        fn a_cut_fits(text in any::<String>(), width in 1usize..40) {
            let cut = cut(&text, width);
            prop_assert!(cut.width() <= width, "{cut:?} is wider than {width}");
            let cut = cut_start(&text, width);
            prop_assert!(cut.width() <= width, "{cut:?} is wider than {width}");
        }

        #[test]
        fn one_line_is_one_line(text in any::<String>()) {
            let line = one_line(&text);
            prop_assert!(!line.chars().any(char::is_control));
        }

        /// Whatever is in the cells, a table fits as long as its flexible column can give way.
        #[test]
        fn a_table_fits(cells in prop::collection::vec("[a-z漢 ]{0,90}", 1..5)) {
            let mut table = Table::new(&["ID", "TEXT"], 1);
            for cell in cells {
                table.row([("0".to_owned(), None), (cell, None)]);
            }
            for line in table.render(Style::PLAIN).lines() {
                prop_assert!(line.width() <= 80, "{line:?}");
            }
        }
    }
}
