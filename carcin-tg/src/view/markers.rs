//! `[[telegram:send:/absolute/path]]` in what Claude writes: the marker vanishes, the file is sent.
//!
//! A marker in code is only shown: there it is talked about. What code is, is what the rendering shows as code.

use std::ops::Range;
use std::path::PathBuf;

use crate::markdown::code_ranges;

const OPEN: &str = "[[telegram:send:";
const CLOSE: &str = "]]";
/// The longest marker, in bytes: a path is no longer on any system.
const LONGEST: usize = 4_200;

/// A text without its markers, and the files that they name, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stripped {
    /// What is to be shown.
    pub text: String,
    /// What is to be sent.
    pub files: Vec<PathBuf>,
}

/// Takes the markers out of a whole text.
pub fn strip(text: &str) -> Stripped {
    take(text, false)
}

/// The same for a text that is not at its end: the beginning of a marker at its end is left out too.
pub fn strip_partial(text: &str) -> Stripped {
    take(text, true)
}

fn take(text: &str, partial: bool) -> Stripped {
    let mut out = Stripped::default();
    let code = code_ranges(text);
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if line.trim().is_empty() && at < text.len() {
            flush(text, start..at, &code, false, &mut out);
            start = at;
        }
    }
    flush(text, start..text.len(), &code, partial, &mut out);
    out
}

/// Takes the markers out of a paragraph.
fn flush(text: &str, paragraph: Range<usize>, code: &[Range<usize>], partial: bool, out: &mut Stripped) {
    let (mut at, end) = (paragraph.start, paragraph.end);
    let before = out.files.len();
    let mut kept = String::new();
    while at < end {
        let rest = &text[at..end];
        // The first that is not over yet.
        let next = code.get(code.partition_point(|code| code.end <= at));
        let length = if let Some(code) = next.filter(|code| code.start <= at) {
            code.end.min(end) - at
        } else if let Some((path, length)) = marker(rest) {
            out.files.push(path);
            at += length;
            continue;
        } else if partial && is_beginning(rest) {
            break;
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        kept.push_str(&rest[..length]);
        at += length;
    }
    // Lines that held nothing but markers go with them.
    if out.files.len() > before {
        let had: Vec<&str> = text[paragraph].lines().collect();
        let lines: Vec<&str> = kept.lines().collect();
        let same = had.len() == lines.len();
        let visible = lines.iter().enumerate().filter(|(index, line)| {
            !line.trim().is_empty() || !same || had.get(*index).is_none_or(|had| had.trim().is_empty())
        });
        let mut shown: String = visible.map(|(_, line)| line.trim_end()).collect::<Vec<_>>().join("\n");
        if kept.ends_with('\n') && !shown.is_empty() {
            shown.push('\n');
        }
        kept = shown;
    }
    out.text.push_str(&kept);
}

/// The marker that `rest` begins with: its path, and its length.
fn marker(rest: &str) -> Option<(PathBuf, usize)> {
    let inner = rest.strip_prefix(OPEN)?;
    let end = inner.find(CLOSE)?;
    let path = inner[..end].trim();
    let fine = path.starts_with('/') && !path.contains(['\n', '\0']) && end <= LONGEST;
    fine.then(|| (PathBuf::from(path), OPEN.len() + end + CLOSE.len()))
}

/// Whether `rest` may become a marker when more comes.
fn is_beginning(rest: &str) -> bool {
    if rest.len() < OPEN.len() {
        return OPEN.starts_with(rest);
    }
    rest.starts_with(OPEN) && !rest.contains('\n') && rest.len() <= LONGEST && !rest.contains(CLOSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(text: &str) -> (String, Vec<String>) {
        let stripped = strip(text);
        (stripped.text, stripped.files.iter().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn a_marker_vanishes_and_names_its_file() {
        let (text, files) =
            stripped("Here it is.\n\n[[telegram:send:/tmp/a b.png]]\n[[telegram:send:/tmp/c.pdf]]\n\nBye.");
        assert_eq!(text, "Here it is.\n\nBye.");
        assert_eq!(files, ["/tmp/a b.png", "/tmp/c.pdf"]);
        let (text, files) = stripped("See [[telegram:send:/x.png]] and [[telegram:send: /y.png ]] there");
        assert_eq!((text.as_str(), files.len()), ("See  and  there", 2));
        assert_eq!(stripped("[[telegram:send:/x.png]]"), (String::new(), vec!["/x.png".to_owned()]));
    }

    #[test]
    fn what_is_no_marker_stays() {
        for text in [
            "[[telegram:send:relative.png]]",
            "[[telegram:send:]]",
            "[[telegram:send:/never closed",
            "[[telegram:send:/over\nlines]]",
            "[[other:/x]]",
            "`[[telegram:send:/x]]`",
            "``a ` [[telegram:send:/x]]``",
            "```\n[[telegram:send:/x]]\n```",
            "~~~text\n```\n[[telegram:send:/x]]\n~~~",
            "1. so:\n   ```sh\n   [[telegram:send:/x]]\n   ```",
            "so:\n\n    [[telegram:send:/x]]\n",
            "1. ```sh\n   [[telegram:send:/x]]\n   ```",
            "10) ```\n    [[telegram:send:/x]]\n    ```",
            "+ ```\n  [[telegram:send:/x]]\n  ```",
            "- - ```\n    [[telegram:send:/x]]\n    ```",
            "> 1. ```\n>    [[telegram:send:/x]]\n>    ```",
            "```\n- ```\n[[telegram:send:/x]]\n```",
            "```\n> ```\n[[telegram:send:/x]]\n```",
            "```\n[[telegram:send:/x]]",
        ] {
            assert_eq!(stripped(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn code_ends_where_it_ends() {
        let text = "```\ncode\n```\n[[telegram:send:/x]]\n`a` [[telegram:send:/y]] `b`";
        assert_eq!(stripped(text).1, ["/x", "/y"]);
        assert_eq!(stripped("a lone ` and [[telegram:send:/x]]").1, ["/x"]);
    }

    #[test]
    fn in_a_stream_no_part_of_a_marker_is_ever_shown() {
        let text = "Look: [[telegram:send:/tmp/x.png]] there";
        for end in 0..=text.len() {
            let shown = strip_partial(&text[..end]).text;
            assert!("Look:  there".starts_with(&shown), "{shown:?} of {:?}", &text[..end]);
        }
        assert_eq!(strip_partial("a list [[1, 2]]").text, "a list [[1, 2]]");
    }

    proptest! {
        #[test]
        fn text_without_markers_is_left_alone(text in "[a-z`~ \\n\\[\\]:/-]{0,200}") {
            prop_assume!(!text.contains("[[telegram"));
            prop_assert_eq!(strip(&text).text, text);
        }

        #[test]
        fn whatever_is_around_it_nothing_panics(text in "(`{1,4}|~~~|\\[\\[telegram:send:|/x|\\]\\]|\\n| {4}|ä|- ){0,40}") {
            strip(&text);
            strip_partial(&text);
        }
    }
}
