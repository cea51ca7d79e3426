//! The form of entities that Telegram leaves alone.
//!
//! The rules are those by which `TDLib` repairs entities (`fix_entities`): what is sent in this form
//! comes back unchanged, so what Carcin compares and splits is what the reader sees.

use std::ops::Range;

use super::{Entity, EntityKind};

/// Brings `spans`, which may overlap in any way, into canonical form over `text`.
pub(super) fn canonical(text: &str, spans: Vec<Entity>) -> Vec<Entity> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let (mut quotes, mut solids, mut styles) = (Vec::new(), Vec::new(), Vec::new());
    for Entity { kind, offset, length } in spans {
        let Some(range) = whole_characters(&units, offset..offset.saturating_add(length)) else { continue };
        let class = match kind {
            EntityKind::Blockquote | EntityKind::ExpandableBlockquote => &mut quotes,
            EntityKind::Code | EntityKind::Pre { .. } | EntityKind::TextLink { .. } => &mut solids,
            _ => &mut styles,
        };
        class.push(Span { kind, range });
    }

    let solids = without_overlap(solids);
    let quotes = quotes.into_iter().filter_map(|span| around_ink(&units, span, &solids)).collect();
    let quotes = without_overlap(quotes);
    let mut cuts: Vec<usize> = boundaries(&quotes);
    let solids: Vec<Span> = solids.into_iter().flat_map(|span| span.cut_at(&cuts)).collect();
    cuts.extend(boundaries(&solids));
    cuts.sort_unstable();

    let mut all = nested_styles(&units, styles, &cuts, &solids);
    all.extend(quotes);
    all.extend(solids);
    let mut entities: Vec<Entity> = all.into_iter().filter_map(|span| span.finish(&units)).collect();
    entities.sort_by_key(|entity| (entity.offset, usize::MAX - entity.length, rank(&entity.kind)));
    entities
}

#[derive(Clone, Debug)]
struct Span {
    kind: EntityKind,
    range: Range<usize>,
}

impl Span {
    fn is_code(&self) -> bool {
        matches!(self.kind, EntityKind::Code | EntityKind::Pre { .. })
    }

    /// The pieces of this span between those of the sorted `cuts` that fall inside it.
    fn cut_at(self, cuts: &[usize]) -> Vec<Span> {
        let first = cuts.partition_point(|&cut| cut <= self.range.start);
        let mut pieces = Vec::new();
        let mut start = self.range.start;
        for &cut in cuts[first..].iter().take_while(|&&cut| cut < self.range.end) {
            if cut > start {
                pieces.push(Span { kind: self.kind.clone(), range: start..cut });
                start = cut;
            }
        }
        pieces.push(Span { kind: self.kind, range: start..self.range.end });
        pieces
    }

    /// The entity, without the whitespace around it where that has no meaning.
    fn finish(self, units: &[u16]) -> Option<Entity> {
        let inked = trimmed(units, self.range.clone())?;
        let range = match self.kind {
            // Indentation and inner spaces are part of code; the ends of quotes are chosen already.
            EntityKind::Code
            | EntityKind::Pre { .. }
            | EntityKind::Blockquote
            | EntityKind::ExpandableBlockquote => self.range,
            _ => inked,
        };
        Some(Entity { kind: self.kind, offset: range.start, length: range.len() })
    }
}

/// The quote without the whitespace around it, except for that which belongs to code.
fn around_ink(units: &[u16], quote: Span, solids: &[Span]) -> Option<Span> {
    let inked = trimmed(units, quote.range.clone())?;
    let code_at = |at: usize| Some(&solids[index_at(solids, at)?]).filter(|solid| solid.is_code());
    let start = code_at(inked.start).map_or(inked.start, |code| code.range.start.max(quote.range.start));
    let end = code_at(inked.end - 1).map_or(inked.end, |code| code.range.end.min(quote.range.end));
    Some(Span { range: start..end, ..quote })
}

/// Which of the sorted `spans`, which do not overlap, covers the unit `at`.
fn index_at(spans: &[Span], at: usize) -> Option<usize> {
    let index = spans.partition_point(|span| span.range.end <= at);
    (spans.get(index)?.range.start <= at).then_some(index)
}

/// Keeps of overlapping spans the one that begins first, then the longer one.
fn without_overlap(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.range.start, usize::MAX - span.range.len(), rank(&span.kind)));
    let mut end = 0;
    spans.retain(|span| {
        let free = span.range.start >= end;
        if free {
            end = span.range.end;
        }
        free
    });
    spans
}

fn boundaries(spans: &[Span]) -> Vec<usize> {
    spans.iter().flat_map(|span| [span.range.start, span.range.end]).collect()
}

/// Styles cut at quotes, links and code, kept out of code, and nested among each other.
fn nested_styles(units: &[u16], styles: Vec<Span>, cuts: &[usize], solids: &[Span]) -> Vec<Span> {
    let in_code = |at: usize| index_at(solids, at).is_some_and(|index| solids[index].is_code());
    let layers: Vec<Vec<Span>> = merged_by_kind(styles)
        .into_iter()
        .map(|layer| {
            let pieces = layer.into_iter().flat_map(|span| span.cut_at(cuts));
            let outside_code = pieces.filter(|piece| !in_code(piece.range.start));
            let inked = |piece: Span| Some(Span { range: trimmed(units, piece.range)?, ..piece });
            outside_code.filter_map(inked).collect()
        })
        .collect();

    let mut nested = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        for span in layer {
            // Where another style begins inside this one and outlasts it, this one is cut.
            let mut cuts: Vec<usize> = layers
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .filter_map(|(_, other)| start_of_outlasting(other, &span.range))
                .collect();
            cuts.sort_unstable();
            nested.extend(span.clone().cut_at(&cuts));
        }
    }
    nested
}

/// The start of the span of `layer` that begins inside `range` and ends after it.
fn start_of_outlasting(layer: &[Span], range: &Range<usize>) -> Option<usize> {
    let index = layer.partition_point(|span| span.range.end <= range.end);
    let start = layer.get(index)?.range.start;
    (range.start < start && start < range.end).then_some(start)
}

/// One layer for each style, in which touching spans are joined.
fn merged_by_kind(mut styles: Vec<Span>) -> Vec<Vec<Span>> {
    styles.sort_by_key(|span| (rank(&span.kind), span.range.start));
    let mut layers: Vec<Vec<Span>> = Vec::new();
    for span in styles {
        match layers.last_mut().and_then(|layer| layer.last_mut()) {
            Some(last) if last.kind == span.kind && span.range.start <= last.range.end => {
                last.range.end = last.range.end.max(span.range.end);
            }
            Some(last) if last.kind == span.kind => layers.last_mut().expect("has a last span").push(span),
            _ => layers.push(vec![span]),
        }
    }
    layers
}

/// `TDLib`'s order among entities on the same range.
fn rank(kind: &EntityKind) -> u8 {
    match kind {
        EntityKind::Blockquote | EntityKind::ExpandableBlockquote => 0,
        EntityKind::Pre { .. } => 1,
        EntityKind::TextLink { .. } => 2,
        EntityKind::Code => 3,
        EntityKind::Bold => 4,
        EntityKind::Italic => 5,
        EntityKind::Strikethrough => 6,
    }
}

/// The range within the text and on code-point boundaries; `None` when nothing is left.
fn whole_characters(units: &[u16], range: Range<usize>) -> Option<Range<usize>> {
    let inside_pair = |at: usize| units.get(at).is_some_and(|&unit| (0xdc00..=0xdfff).contains(&unit));
    let start = range.start - usize::from(inside_pair(range.start));
    let end = range.end.min(units.len());
    let end = end + usize::from(inside_pair(end));
    (start < end).then_some(start..end)
}

/// The range without whitespace at its ends; `None` when it holds nothing else.
fn trimmed(units: &[u16], range: Range<usize>) -> Option<Range<usize>> {
    let inked = |&unit: &u16| !char::from_u32(unit.into()).is_some_and(char::is_whitespace);
    let slice = &units[range.clone()];
    let first = slice.iter().position(inked)?;
    let last = slice.iter().rposition(inked)?;
    Some(range.start + first..range.start + last + 1)
}
