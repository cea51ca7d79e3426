//! Markdown events to text and entities.

use std::ops::Range;

use pulldown_cmark::{
    BlockQuoteKind, CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, TextMergeWithOffset,
};

use super::{
    EntityKind, Text, TextBuilder, address, math,
    table::{Layout, Table},
    words,
};

/// How a thematic break looks.
const RULE: &str = "———";

/// Deeper lists are not indented further: a phone has no room for it.
const MAX_INDENT: usize = 12;

/// What is read beyond `CommonMark`: GFM, footnotes and math.
pub(super) const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_MATH)
    .union(Options::ENABLE_GFM);

/// Renders `CommonMark` with GFM's extensions as text for Telegram. The result has no whitespace
/// around it and may be longer than a message: see [`super::split`]. A source that shows nothing as
/// Markdown (a link's definition, an empty fence) is shown as it is written; so the result is blank
/// only where the source has no character that could be seen.
pub fn render(markdown: &str) -> Text {
    let protected = address::protect(markdown);
    let protected = math::protect(&protected);
    let mut renderer = Renderer::default();
    let events = Parser::new_ext(&protected, OPTIONS).into_offset_iter();
    for (event, range) in TextMergeWithOffset::new(events) {
        match event {
            Event::End(TagEnd::TableCell) => renderer.cell_ended = range.end,
            Event::End(TagEnd::TableRow) => renderer.keep_excess(&protected[renderer.cell_ended..range.end]),
            _ => {}
        }
        renderer.event(event);
    }
    let built = renderer.out.build();
    let shown = if built.is_blank() { Text::plain(markdown) } else { built };
    words::protect(shown).trimmed()
}

/// Where the source has code, blocks and spans, in order and with what marks it as code.
pub fn code_ranges(markdown: &str) -> Vec<Range<usize>> {
    let events = Parser::new_ext(markdown, OPTIONS).into_offset_iter();
    let code = events.filter(|(event, _)| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_))));
    code.map(|(_, range)| range).collect()
}

/// Where the rendering stands.
#[derive(Debug, Default)]
struct Renderer {
    out: TextBuilder,
    /// Line breaks owed before the next text: blocks ask for them, and the last one owes none.
    gap: usize,
    /// Markers of items that have no text yet, for example `•`; and how many items that are.
    lead: String,
    leading_items: usize,
    /// A marker was written and text is to follow at a distance.
    after_marker: bool,
    /// The indentation that each open item adds.
    indents: Vec<usize>,
    lists: Vec<List>,
    quotes: usize,
    code: Option<(Option<String>, String)>,
    /// Open links and images: where the text begins, and the target.
    links: Vec<(usize, String)>,
    table: Option<Table>,
    /// What is set aside while a table's cell is written.
    outside_cell: Option<(TextBuilder, usize)>,
    /// Where the last cell ended in the source.
    cell_ended: usize,
}

/// An open list.
#[derive(Debug)]
struct List {
    /// The next number, in a numbered list.
    next: Option<u64>,
    /// Whether its items hold paragraphs: then a blank line goes between them.
    loose: bool,
}

impl Renderer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.write(&text),
            },
            Event::Code(code) => self.inline_code(&code),
            Event::InlineMath(math) => self.math("$", &math),
            Event::DisplayMath(math) => self.math("$$", &math),
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html),
            Event::FootnoteReference(label) => self.write(&format!("[{label}]")),
            Event::SoftBreak | Event::HardBreak => self.break_line(),
            Event::Rule => {
                self.gap = self.gap.max(1);
                self.write(RULE);
                self.gap = self.block_gap();
            }
            Event::TaskListMarker(done) => self.task_marker(done),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.gap = self.gap.max(1),
            Tag::Heading { .. } => {
                self.gap = self.gap.max(self.block_gap());
                self.open(EntityKind::Bold);
            }
            Tag::BlockQuote(kind) => self.start_quote(kind),
            Tag::CodeBlock(kind) => self.code = Some((language(&kind), String::new())),
            Tag::List(first) => {
                self.gap = self.gap.max(1);
                self.lists.push(List { next: first, loose: false });
            }
            Tag::Item => {
                let marker = self.next_marker();
                let width = marker.chars().count() + 1;
                self.start_item(&marker, width);
            }
            Tag::FootnoteDefinition(label) => self.start_item(&format!("[{label}]"), 0),
            Tag::Table(alignments) => self.table = Some(Table::new(alignments)),
            Tag::TableHead | Tag::TableRow => self.table.iter_mut().for_each(Table::start_row),
            Tag::TableCell => {
                self.outside_cell = Some((std::mem::take(&mut self.out), std::mem::take(&mut self.gap)));
            }
            Tag::Emphasis => self.open(EntityKind::Italic),
            Tag::Strong => self.open(EntityKind::Bold),
            Tag::Strikethrough => self.open(EntityKind::Strikethrough),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.start_link(dest_url),
            // Not asked for in the options.
            Tag::Superscript
            | Tag::Subscript
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.gap = 2;
                if let Some(list) = self.lists.last_mut() {
                    list.loose = true;
                }
            }
            TagEnd::HtmlBlock => self.gap = self.block_gap(),
            TagEnd::Heading(_) => {
                self.out.close();
                self.gap = self.gap.max(1);
            }
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap = self.gap.max(self.block_gap());
            }
            TagEnd::Item | TagEnd::FootnoteDefinition => self.end_item(),
            TagEnd::Table => self.end_table(),
            TagEnd::TableCell => self.end_cell(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.out.close(),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// Writes what is owed before text: line breaks, indentation, markers.
    fn begin(&mut self) {
        self.begin_line(true);
        if std::mem::take(&mut self.after_marker) {
            self.out.push(" ");
        }
    }

    fn begin_line(&mut self, indented: bool) {
        let gap = std::mem::take(&mut self.gap);
        if gap > 0 && !self.out.is_empty() {
            self.after_marker = false;
            let there = self.out.as_str().chars().rev().take(gap).take_while(|&c| c == '\n').count();
            self.out.push(&"\n\n"[..gap - there]);
            if indented {
                let items = self.indents.len() - self.leading_items;
                let indent = self.indents[..items].iter().sum::<usize>().min(MAX_INDENT);
                self.out.push(&" ".repeat(indent));
            }
        }
        if !self.lead.is_empty() {
            self.out.push(&std::mem::take(&mut self.lead));
            self.leading_items = 0;
            self.after_marker = true;
        }
    }

    /// Begins a block that needs lines of its own, even below a marker. A block of code has no
    /// indentation, so that it can be copied.
    fn begin_block(&mut self, indented: bool) {
        if !self.lead.is_empty() {
            self.begin_line(true);
        }
        self.gap = self.gap.max(1);
        self.begin_line(indented);
    }

    /// Opens a style, after what is owed: a marker does not share the style of its item's text.
    fn open(&mut self, kind: EntityKind) {
        self.begin();
        self.out.open(kind);
    }

    fn write(&mut self, text: &str) {
        if !text.is_empty() {
            self.begin();
            self.out.push(text);
        }
    }

    /// Line breaks owed between two blocks: items are close to each other.
    fn block_gap(&self) -> usize {
        if self.indents.is_empty() { 2 } else { 1 }
    }

    fn break_line(&mut self) {
        if self.outside_cell.is_some() {
            self.write(" ");
        } else {
            self.gap = (self.gap + 1).min(2);
        }
    }

    fn inline_code(&mut self, code: &str) {
        self.begin();
        self.out.code(code);
    }

    /// Math stays as it is. Dollars around what is no math are prices and variables.
    fn math(&mut self, fence: &str, math: &str) {
        let whole = format!("{fence}{math}{fence}");
        if !math::is_formula(math) {
            self.html(&whole);
        } else if math.contains('\n') && self.outside_cell.is_none() {
            self.begin_block(false);
            self.out.pre(&whole, Some("latex"));
            self.gap = 1;
        } else {
            self.inline_code(&whole.replace('\n', " "));
        }
    }

    /// Shows HTML as it is written, but for the line break that has no other form in a table.
    fn html(&mut self, html: &str) {
        if matches!(html.trim(), "<br>" | "<br/>" | "<br />") {
            return self.break_line();
        }
        for line in html.split_inclusive('\n') {
            self.write(line.trim_end_matches('\n'));
            if line.ends_with('\n') {
                self.break_line();
            }
        }
    }

    fn next_marker(&mut self) -> String {
        match self.lists.last_mut().and_then(|list| list.next.as_mut()) {
            Some(number) => {
                let marker = format!("{number}.");
                *number = number.saturating_add(1);
                marker
            }
            None => "•".to_owned(),
        }
    }

    fn start_item(&mut self, marker: &str, width: usize) {
        self.gap = self.gap.max(1);
        if !self.lead.is_empty() {
            self.lead.push(' ');
        }
        self.lead.push_str(marker);
        self.leading_items += 1;
        self.indents.push(width);
    }

    fn end_item(&mut self) {
        if !self.lead.is_empty() {
            self.begin_line(true);
        }
        self.after_marker = false;
        self.indents.pop();
        let loose = self.lists.last().is_some_and(|list| list.loose);
        self.gap = self.gap.max(if loose { 2 } else { 1 });
    }

    fn task_marker(&mut self, done: bool) {
        let mark = if done { '☑' } else { '☐' };
        if self.lead.ends_with('•') {
            self.lead.pop();
        } else if !self.lead.is_empty() {
            self.lead.push(' ');
        }
        self.lead.push(mark);
    }

    /// Telegram has no quotes inside quotes: the inner ones are part of the outer one.
    fn start_quote(&mut self, kind: Option<BlockQuoteKind>) {
        if !self.lead.is_empty() {
            self.begin_line(true);
        }
        self.gap = self.gap.max(1);
        self.quotes += 1;
        if self.quotes == 1 {
            self.out.open(EntityKind::Blockquote);
        }
        if let Some(kind) = kind {
            self.begin();
            self.out.bold(alert_title(kind));
            self.gap = 1;
        }
    }

    fn end_quote(&mut self) {
        self.quotes -= 1;
        if self.quotes == 0 {
            self.out.close();
        }
        self.gap = self.block_gap();
    }

    fn end_code(&mut self) {
        let Some((language, code)) = self.code.take() else { return };
        let code = code.trim_start_matches('\n').trim_end();
        if !code.is_empty() {
            self.begin_block(false);
            self.out.pre(code, language.as_deref());
        }
        self.gap = self.gap.max(self.block_gap());
    }

    fn start_link(&mut self, url: CowStr<'_>) {
        self.begin();
        self.links.push((self.out.units(), url.into_string()));
    }

    /// Links do not nest: of a picture inside a link, the link counts.
    fn end_link(&mut self) {
        if let Some((start, url)) = self.links.pop()
            && self.links.is_empty()
        {
            self.out.finish_link(start, &url);
        }
    }

    fn end_cell(&mut self) {
        let Some((outside, gap)) = self.outside_cell.take() else { return };
        let cell = std::mem::replace(&mut self.out, outside).build().trimmed();
        self.gap = gap;
        if let Some(table) = &mut self.table {
            table.add_cell(cell);
        }
    }

    /// Keeps what a row has beyond the columns of its table, which GFM drops: a bar in a cell is easily forgotten to
    /// be escaped, and nothing that was said may be lost.
    fn keep_excess(&mut self, rest: &str) {
        let rest = rest.trim_matches(|c: char| c == '|' || c.is_whitespace());
        if !rest.is_empty()
            && let Some(table) = &mut self.table
        {
            table.extend_cell(&rest.replace("\\|", "|"));
        }
    }

    fn end_table(&mut self) {
        let Some(table) = self.table.take() else { return };
        match table.layout() {
            Layout::Aligned(lines) if lines.trim().is_empty() => {}
            Layout::Aligned(lines) => {
                self.begin_block(false);
                self.out.pre(&lines, None);
            }
            Layout::Rows(lines) => {
                for line in lines {
                    self.begin_block(true);
                    self.out.append(&line);
                }
            }
        }
        self.gap = self.gap.max(self.block_gap());
    }
}

/// The first word of a fence's info string, when a client could know it as a language.
fn language(kind: &CodeBlockKind<'_>) -> Option<String> {
    const LONGEST: usize = 32;
    let CodeBlockKind::Fenced(info) = kind else { return None };
    let word = info.split([' ', '\t', ',', '{', ':']).next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '_' | '.');
    (!word.is_empty() && word.len() <= LONGEST && word.chars().all(fits)).then(|| word.to_owned())
}

fn alert_title(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "Note",
        BlockQuoteKind::Tip => "Tip",
        BlockQuoteKind::Important => "Important",
        BlockQuoteKind::Warning => "Warning",
        BlockQuoteKind::Caution => "Caution",
    }
}
