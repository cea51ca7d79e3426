//! Composing a [`Text`] piece by piece.

use super::{Entity, EntityKind, Text, canonical::canonical, link, utf16_len};

/// Builds a [`Text`]: what is pushed inside a style carries that style.
#[derive(Debug, Default)]
pub struct TextBuilder {
    text: String,
    units: usize,
    spans: Vec<Entity>,
    /// Open spans and where they begin, outermost first.
    open: Vec<(EntityKind, usize)>,
}

impl TextBuilder {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length so far, in UTF-16 code units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes `text`. What Telegram would remove or replace on its side (controls, carriage
    /// returns, overrides of the writing direction) is removed or replaced here, so that offsets hold.
    pub fn push(&mut self, text: &str) -> &mut Self {
        for c in text.chars().filter_map(sendable) {
            self.text.push(c);
            self.units += c.len_utf16();
        }
        self
    }

    /// Writes `text` in bold.
    pub fn bold(&mut self, text: &str) -> &mut Self {
        self.styled(EntityKind::Bold, text)
    }

    /// Writes `text` in italics.
    pub fn italic(&mut self, text: &str) -> &mut Self {
        self.styled(EntityKind::Italic, text)
    }

    /// Writes `text` as code within a line.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.styled(EntityKind::Code, text)
    }

    /// Writes `code` as a block, with its language if known. Tabs become four spaces, since
    /// Telegram would shrink each to one.
    pub fn pre(&mut self, code: &str, language: Option<&str>) -> &mut Self {
        let kind = EntityKind::Pre { language: language.map(str::to_owned) };
        self.styled(kind, &code.replace('\t', "    "))
    }

    /// Writes `text` as a link to `url`. A target that Telegram would refuse, and the whole
    /// message with it (a relative path, `http://localhost:3000`, another scheme), follows the
    /// text in code instead.
    #[cfg(test)]
    pub fn link(&mut self, text: &str, url: &str) -> &mut Self {
        let start = self.units;
        self.push(text);
        self.finish_link(start, url);
        self
    }

    /// Writes what `inside` writes as a quote.
    pub fn quote(&mut self, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.around(EntityKind::Blockquote, inside)
    }

    /// Writes what `inside` writes as a quote that is folded until tapped.
    pub fn expandable_quote(&mut self, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.around(EntityKind::ExpandableBlockquote, inside)
    }

    /// Writes what `inside` writes with `kind` around it.
    pub fn around(&mut self, kind: EntityKind, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(kind);
        inside(self);
        self.close();
        self
    }

    /// Writes another text with its formatting.
    pub fn append(&mut self, other: &Text) -> &mut Self {
        let start = self.units;
        // Nothing is lost here: a `Text` made by this module holds sendable characters only.
        self.push(&other.text);
        for entity in &other.entities {
            self.spans.push(Entity { offset: start + entity.offset, ..entity.clone() });
        }
        self
    }

    /// Ends the line.
    pub fn newline(&mut self) -> &mut Self {
        self.push("\n")
    }

    /// Leaves a blank line, unless there is nothing above it or one is there already.
    pub fn blank_line(&mut self) -> &mut Self {
        while !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.newline();
        }
        self
    }

    /// The finished text. It is not trimmed; [`super::split`] does that for each message.
    pub fn build(mut self) -> Text {
        while !self.open.is_empty() {
            self.close();
        }
        let entities = canonical(&self.text, self.spans);
        Text { text: self.text, entities }
    }

    /// Opens a span.
    pub(super) fn open(&mut self, kind: EntityKind) {
        self.open.push((kind, self.units));
    }

    /// Closes the span opened last.
    pub(super) fn close(&mut self) {
        if let Some((kind, start)) = self.open.pop() {
            self.mark(kind, start);
        }
    }

    /// Formats what was written since `start`, in UTF-16 code units.
    pub(super) fn mark(&mut self, kind: EntityKind, start: usize) {
        self.spans.push(Entity { kind, offset: start, length: self.units - start });
    }

    /// Makes what was written since `start` lead to `url`, in the way that fits the address.
    pub(super) fn finish_link(&mut self, start: usize, url: &str) {
        let label = self.since(start).trim().to_owned();
        if label.is_empty() {
            let start = self.units;
            self.push(url);
            return self.finish_link_named_by_itself(start, url);
        }
        if label == url {
            return self.finish_link_named_by_itself(start, url);
        }
        match link::target(url) {
            link::Target::None => {}
            link::Target::Link(url) => self.mark(EntityKind::TextLink { url: url.to_owned() }, start),
            link::Target::Mail(address) if label.contains(address) => {}
            link::Target::Mail(address) => drop(self.push(" (").push(address).push(")")),
            link::Target::Other(target) => drop(self.push(" (").code(target).push(")")),
        }
    }

    /// An address shown as it is: Telegram links those it knows; the others are for copying.
    fn finish_link_named_by_itself(&mut self, start: usize, url: &str) {
        if matches!(link::target(url), link::Target::Other(_)) && !link::is_mail_address(url) {
            self.mark(EntityKind::Code, start);
        }
    }

    /// What was written since `start`, in UTF-16 code units.
    fn since(&self, start: usize) -> &str {
        let mut units = self.units;
        let mut bytes = self.text.len();
        for c in self.text.chars().rev() {
            if units <= start {
                break;
            }
            units -= c.len_utf16();
            bytes -= c.len_utf8();
        }
        debug_assert_eq!(utf16_len(&self.text[bytes..]), self.units - start);
        &self.text[bytes..]
    }

    fn styled(&mut self, kind: EntityKind, text: &str) -> &mut Self {
        self.around(kind, |inside| {
            inside.push(text);
        })
    }
}

/// The character as Telegram would deliver it, or `None` when it would remove it.
fn sendable(c: char) -> Option<char> {
    match c {
        '\n' => Some(c),
        '\r' | '\u{202a}'..='\u{202e}' => None,
        '\u{2028}' | '\u{2029}' => Some('\n'),
        c if c.is_control() => Some(' '),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_inside_a_style_carries_it() {
        let mut card = TextBuilder::new();
        card.bold("Running ").code("cargo test").newline();
        card.expandable_quote(|quote| {
            quote.push("12 passed");
        });
        let text = card.build();
        assert_eq!(text.text, "Running cargo test\n12 passed");
        assert_eq!(text.entities.len(), 3);
    }
}
