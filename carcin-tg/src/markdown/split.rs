//! Cutting a text into messages.

use std::ops::Range;

use super::{ENTITY_LIMIT, Entity, EntityKind, Text, canonical::canonical, is_invisible};

/// Ends a text that was cut short.
const ELLIPSIS: &str = "…";

/// Cuts `text` into messages of at most `limit` UTF-16 code units (at least 2, which one character
/// may need) and [`ENTITY_LIMIT`] entities. It cuts where it hurts least: between blocks, else
/// lines, else words, else characters. Formatting goes on after a cut, so a block of code goes on
/// as one, with its language. Whitespace at a cut is dropped; no part is blank.
pub fn split(text: &Text, limit: usize) -> Vec<Text> {
    let pieces = Pieces::new(text);
    let mut parts = Vec::new();
    let mut start = pieces.skip_blank(0);
    while start < pieces.chars.len() {
        let end = pieces.cut(start, limit.max(2));
        let part = pieces.part(start..end);
        if !part.is_blank() {
            parts.push(part);
        }
        start = pieces.skip_blank(end);
    }
    parts
}

/// The beginning of `text` in at most `limit` UTF-16 code units (at least 3), with "…" when
/// something is left out.
pub fn truncate(text: &Text, limit: usize) -> Text {
    let limit = limit.max(3);
    if text.units() <= limit && text.entities.len() <= ENTITY_LIMIT {
        return text.clone();
    }
    let pieces = Pieces::new(text);
    let start = pieces.skip_blank(0);
    let mut short = pieces.part(start..pieces.cut(start, limit - 1));
    short.text.push_str(ELLIPSIS);
    short
}

impl Text {
    /// The text without whitespace around it. Indentation that belongs to code stays.
    pub(super) fn trimmed(&self) -> Text {
        let pieces = Pieces::new(self);
        pieces.part(pieces.skip_blank(0)..pieces.chars.len())
    }
}

/// A text with its characters at hand. Positions count characters, so that none falls inside one.
struct Pieces<'a> {
    text: &'a Text,
    chars: Vec<char>,
    /// Where each character begins in UTF-16 code units, and the end.
    units: Vec<usize>,
    /// Where each character begins in bytes, and the end.
    bytes: Vec<usize>,
    /// The blocks of code, in characters.
    blocks: Vec<Range<usize>>,
    /// The entities of each layer, as indices. Within a layer none overlap, so those of a part are found
    /// without a look at all of them: a text may have a hundred thousand.
    layers: [Vec<usize>; LAYERS],
}

impl<'a> Pieces<'a> {
    fn new(text: &'a Text) -> Self {
        let chars: Vec<char> = text.text.chars().collect();
        let sums = |width: fn(char) -> usize| {
            let mut sum = 0;
            let mut starts = vec![0];
            starts.extend(chars.iter().map(|&c| {
                sum += width(c);
                sum
            }));
            starts
        };
        let units = sums(char::len_utf16);
        let bytes = sums(char::len_utf8);
        let position = |unit: usize| units.partition_point(|&start| start < unit).min(chars.len());
        let blocks = text
            .entities
            .iter()
            .filter(|entity| matches!(entity.kind, EntityKind::Pre { .. }))
            .map(|entity| position(entity.offset)..position(entity.offset.saturating_add(entity.length)))
            .collect();
        let mut layers: [Vec<usize>; LAYERS] = Default::default();
        for (index, entity) in text.entities.iter().enumerate() {
            layers[layer(&entity.kind)].push(index);
        }
        Self { text, chars, units, bytes, blocks, layers }
    }

    /// Where the part that begins at `start` ends: after `start`, and within both limits.
    fn cut(&self, start: usize, limit: usize) -> usize {
        let furthest = self.units[start] + limit;
        let by_units = self.units.partition_point(|&unit| unit <= furthest) - 1;
        let end = by_units.min(self.end_by_entities(start)).max(start + 1);
        if end == self.chars.len() {
            return end;
        }
        let size = end - start;
        // A boundary far back would leave a message almost empty.
        last_boundary(start + size / 2..end, |at| self.is_between_blocks(at))
            .or_else(|| last_boundary(start + size / 4..end, |at| self.chars[at - 1] == '\n'))
            .or_else(|| last_boundary(start + size / 4..end, |at| self.is_between_words(at)))
            .unwrap_or_else(|| self.before_cluster(start, end))
    }

    /// A blank line outside code, or the edge of a block of code.
    fn is_between_blocks(&self, at: usize) -> bool {
        let next = self.blocks.partition_point(|block| block.end < at);
        match self.blocks.get(next) {
            Some(block) if block.start < at && at < block.end => false,
            Some(block) if block.end == at => true,
            _ => self.chars[..at].ends_with(&['\n', '\n']),
        }
    }

    fn is_between_words(&self, at: usize) -> bool {
        self.chars[at - 1].is_whitespace() || self.chars[at].is_whitespace()
    }

    /// Steps back from the middle of an emoji or an accented letter, if there is a way.
    fn before_cluster(&self, start: usize, end: usize) -> usize {
        const FURTHEST: usize = 16;
        let joined = |at: usize| extends(self.chars[at]) || self.chars[at - 1] == '\u{200d}';
        (start + 1..=end).rev().take(FURTHEST).find(|&at| !joined(at)).unwrap_or(end)
    }

    /// The entities of one layer that end after `start`, in UTF-16 code units, in their order.
    fn touched<'b>(&'b self, layer: &'b [usize], start: usize) -> impl Iterator<Item = usize> + 'b {
        let ends_before = |&index: &usize| end_of(&self.text.entities[index]) <= start;
        layer[layer.partition_point(ends_before)..].iter().copied()
    }

    /// Where the entity begins that would be one too many for a part from `start`.
    fn end_by_entities(&self, start: usize) -> usize {
        let start = self.units[start];
        let in_layer = |layer| self.touched(layer, start).take(ENTITY_LIMIT + 1);
        let mut touched: Vec<usize> = self.layers.iter().flat_map(|layer| in_layer(layer)).collect();
        touched.sort_unstable();
        match touched.get(ENTITY_LIMIT).map(|&index| self.text.entities[index].offset) {
            Some(offset) => self.units.partition_point(|&unit| unit < offset).min(self.chars.len()),
            None => self.chars.len(),
        }
    }

    /// The first position from `start` on where a message may begin: whitespace is left out, but
    /// not the indentation of a line of code.
    fn skip_blank(&self, start: usize) -> usize {
        let rest = &self.chars[start..];
        let inked = start + rest.iter().position(|c| !c.is_whitespace()).unwrap_or(rest.len());
        let next = self.blocks.partition_point(|block| block.end <= inked);
        let block = self.blocks.get(next).filter(|block| block.contains(&inked));
        let line =
            self.chars[start..inked].iter().rposition(|&c| c == '\n').map_or(start, |at| start + at + 1);
        block.map_or(inked, |block| line.max(block.start))
    }

    /// The text of `range` without whitespace at its end, with its formatting.
    fn part(&self, range: Range<usize>) -> Text {
        let inked = self.chars[range.clone()].iter().rposition(|c| !c.is_whitespace());
        let end = inked.map_or(range.start, |last| range.start + last + 1);
        let text = self.text.text[self.bytes[range.start]..self.bytes[end]].to_owned();
        let (from, to) = (self.units[range.start], self.units[end]);
        let clip = |entity: &Entity| {
            let (start, end) = (entity.offset.max(from), end_of(entity).min(to));
            (start < end).then(|| Entity {
                kind: entity.kind.clone(),
                offset: start - from,
                length: end - start,
            })
        };
        let of_layer = |layer| {
            let touched = self.touched(layer, from).map(|index| &self.text.entities[index]);
            touched.take_while(|entity| entity.offset < to).filter_map(clip)
        };
        let clipped = self.layers.iter().flat_map(|layer| of_layer(layer));
        let entities = canonical(&text, clipped.collect());
        Text { text, entities }
    }
}

/// How many layers there are, see [`layer`].
const LAYERS: usize = 7;

/// Which layer an entity belongs to: in canonical form no two of a layer share a character.
fn layer(kind: &EntityKind) -> usize {
    match kind {
        EntityKind::Bold => 0,
        EntityKind::Italic => 1,
        EntityKind::Strikethrough => 2,
        EntityKind::Code => 3,
        EntityKind::Pre { .. } => 4,
        EntityKind::TextLink { .. } => 5,
        EntityKind::Blockquote | EntityKind::ExpandableBlockquote => 6,
    }
}

fn end_of(entity: &Entity) -> usize {
    entity.offset.saturating_add(entity.length)
}

/// The last position of `range`, its end included and its start not, where `fits` holds.
fn last_boundary(range: Range<usize>, fits: impl Fn(usize) -> bool) -> Option<usize> {
    (range.start + 1..=range.end).rev().find(|&at| fits(at))
}

/// Whether the character belongs to the one before: marks, selectors, joiners, skin tones.
fn extends(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{20d0}'..='\u{20ff}')
        || (is_invisible(c) && !c.is_whitespace() && !c.is_control())
}
