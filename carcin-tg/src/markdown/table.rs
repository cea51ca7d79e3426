//! Tables on a phone.
//!
//! A table that fits the width of a phone is aligned in a `pre`. A wider one would wrap in the
//! middle of its rows and be unreadable, so it becomes a list with one line for each row.

use pulldown_cmark::Alignment;
use unicode_width::UnicodeWidthStr;

use super::{EntityKind, Text, TextBuilder};

/// How many monospaced columns a phone shows without wrapping.
const PHONE_COLUMNS: usize = 36;

/// Between two columns.
const GUTTER: &str = "  ";

/// A table while it is read.
#[derive(Debug)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    /// The head, then the rows.
    rows: Vec<Vec<Text>>,
}

/// A table as it is shown.
#[derive(Debug)]
pub(super) enum Layout {
    /// Lines to be shown monospaced.
    Aligned(String),
    /// Lines for the running text.
    Rows(Vec<Text>),
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self { alignments, rows: Vec::new() }
    }

    pub(super) fn start_row(&mut self) {
        self.rows.push(Vec::new());
    }

    pub(super) fn add_cell(&mut self, cell: Text) {
        if let Some(row) = self.rows.last_mut() {
            row.push(cell);
        }
    }

    /// Adds to the last cell what is behind it.
    pub(super) fn extend_cell(&mut self, text: &str) {
        let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) else { return };
        let mut longer = TextBuilder::new();
        longer.append(cell).push(" | ").push(text);
        *cell = longer.build();
    }

    pub(super) fn layout(&self) -> Layout {
        let widths = self.widths();
        let total = widths.iter().sum::<usize>() + GUTTER.len() * widths.len().saturating_sub(1);
        if total <= PHONE_COLUMNS && !self.has_links() {
            Layout::Aligned(self.aligned(&widths))
        } else {
            Layout::Rows(self.listed())
        }
    }

    /// Links cannot live in a `pre`.
    fn has_links(&self) -> bool {
        let entities = self.rows.iter().flatten().flat_map(|cell| &cell.entities);
        entities.into_iter().any(|entity| matches!(entity.kind, EntityKind::TextLink { .. }))
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(cell_width).max();
        (0..self.alignments.len()).map(|column| width(column).unwrap_or(0)).collect()
    }

    fn aligned(&self, widths: &[usize]) -> String {
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        for row in &self.rows {
            let cells = row.iter().zip(widths).zip(&self.alignments);
            let padded: Vec<String> =
                cells.map(|((cell, &width), alignment)| pad(cell, width, *alignment)).collect();
            lines.push(padded.join(GUTTER).trim_end().to_owned());
        }
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width.max(1))).collect();
        lines.insert(1.min(lines.len()), rule.join(GUTTER));
        lines.join("\n")
    }

    /// The head in bold, then for each row its first cell in bold and the others with their heads.
    fn listed(&self) -> Vec<Text> {
        let Some((head, rows)) = self.rows.split_first() else { return Vec::new() };
        let mut lines = Vec::with_capacity(self.rows.len());
        let titles: Vec<&Text> = head.iter().filter(|cell| !cell.is_blank()).collect();
        if !titles.is_empty() {
            let mut line = TextBuilder::new();
            line.around(EntityKind::Bold, |line| join(line, &titles, " · "));
            lines.push(line.build());
        }
        lines.extend(
            rows.iter().filter(|row| !row.iter().all(Text::is_blank)).map(|row| listed_row(head, row)),
        );
        lines
    }
}

fn listed_row(head: &[Text], row: &[Text]) -> Text {
    let mut line = TextBuilder::new();
    line.push("•");
    let mut separator = " ";
    for (column, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_blank()) {
        line.push(separator);
        if column == 0 {
            line.around(EntityKind::Bold, |line| {
                line.append(cell);
            });
            separator = " — ";
            continue;
        }
        // With two columns the head above says what the second is.
        if let Some(title) = head.get(column).filter(|title| head.len() > 2 && !title.is_blank()) {
            line.push(&title.text).push(": ");
        }
        line.append(cell);
        separator = " · ";
    }
    line.build()
}

fn join(line: &mut TextBuilder, cells: &[&Text], separator: &str) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push(separator);
        }
        line.append(cell);
    }
}

fn cell_width(cell: &Text) -> usize {
    cell.text.width()
}

fn pad(cell: &Text, width: usize, alignment: Alignment) -> String {
    let free = width.saturating_sub(cell_width(cell));
    let left = match alignment {
        Alignment::Right => free,
        Alignment::Center => free / 2,
        Alignment::Left | Alignment::None => 0,
    };
    format!("{}{}{}", " ".repeat(left), cell.text, " ".repeat(free - left))
}
