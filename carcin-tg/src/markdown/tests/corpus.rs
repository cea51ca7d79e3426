//! The corpora: `CommonMark`'s own examples, and GFM's extensions with what a phone shows of each.

use super::super::render;
use super::marked;

/// The Markdown of the specification's examples.
pub(super) fn specification() -> Vec<(u64, String)> {
    #[derive(serde::Deserialize)]
    struct Example {
        example: u64,
        markdown: String,
    }
    let corpus = include_str!("../../../tests/corpus/commonmark.json");
    let examples: Vec<Example> = serde_json::from_str(corpus).expect("the corpus is JSON");
    examples.into_iter().map(|Example { example, markdown }| (example, markdown)).collect()
}

/// An example of an extension.
#[derive(serde::Deserialize)]
pub(super) struct Extension {
    example: u64,
    section: String,
    pub(super) markdown: String,
    /// With entities as [`marked`] writes them.
    shows: String,
}

/// The examples of GFM's extensions.
pub(super) fn extensions() -> Vec<Extension> {
    serde_json::from_str(include_str!("../../../tests/corpus/gfm.json")).expect("the corpus is JSON")
}

#[test]
fn gfms_extensions_are_shown_as_a_phone_can() {
    for Extension { example, section, markdown, shows } in extensions() {
        let shown = marked(&render(&markdown));
        assert_eq!(shown, shows, "example {example} of {section}:\n{markdown}");
    }
}

#[test]
fn there_is_an_example_of_each_extension() {
    let sections: Vec<String> = extensions().into_iter().map(|one| one.section).collect();
    for (section, least) in [
        ("Tables", 15),
        ("Task list items", 5),
        ("Strikethrough", 5),
        ("Autolinks", 10),
        ("Disallowed raw HTML", 3),
        ("Alerts", 4),
        ("Footnotes", 2),
    ] {
        assert!(sections.iter().filter(|one| *one == section).count() >= least, "{section}");
    }
}
