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
    let (mut kept, mut taken) = (String::new(), false);
    while at < end {
        // The first that is not over yet.
        let next = code.get(code.partition_point(|code| code.end <= at));
        if let Some(code) = next.filter(|code| code.start <= at) {
            let shown = &text[at..code.end.min(end)];
            kept.push_str(shown);
            at += shown.len();
            continue;
        }
        // No more than a marker takes: to look further from each of very many would never end.
        let rest = &text[at..text.floor_char_boundary(end.min(at + LONGEST))];
        if partial && is_beginning(rest) {
            break;
        }
        if let Some((path, length)) = marker(rest) {
            // The same file twice is one file.
            if !out.files.contains(&path) {
                out.files.push(path);
            }
            (at, taken) = (at + length, true);
        } else if let Some(c) = rest.chars().next() {
            kept.push(c);
            at += c.len_utf8();
        }
    }
    // Lines that held nothing but markers go with them.
    if taken {
        let had: Vec<&str> = text[paragraph].lines().collect();
        let lines: Vec<&str> = kept.lines().collect();
        let same = had.len() == lines.len();
        let visible = lines
            .iter()
            .enumerate()
            .filter(|(index, line)| !same || !is_bare(line) || had.get(*index) == Some(*line));
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
    let end = closed(inner).or_else(|| inner.find(CLOSE))?;
    let path = inner[..end].trim();
    let fine = path.starts_with('/') && !path.contains(['\n', '\0']);
    fine.then(|| (PathBuf::from(path), OPEN.len() + end + CLOSE.len()))
}

/// Where the marker ends that begins with `inner`: names such as `[id].tsx` and `[[...slug]]` have brackets of their own,
/// in pairs.
fn closed(inner: &str) -> Option<usize> {
    let mut open = 0_u32;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'\n' => break,
            b']' if open == 0 && inner[at..].starts_with(CLOSE) => return Some(at),
            b'[' => open += 1,
            b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Whether nothing but markup is left of a line: of an item of a list, or of an emphasis.
fn is_bare(line: &str) -> bool {
    let markup = |c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_' | '+' | '>' | '~');
    let rest = line.trim_matches(markup);
    let number = rest.trim_end_matches(['.', ')']);
    rest.is_empty() || (number.len() < rest.len() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether `rest` may become a marker when more comes.
fn is_beginning(rest: &str) -> bool {
    if rest.len() < OPEN.len() {
        return OPEN.starts_with(rest);
    }
    let Some(inner) = rest.strip_prefix(OPEN) else { return false };
    // One that was cut at the longest is shorter by a part of a character.
    !rest.contains('\n') && rest.len() + 3 < LONGEST && closed(inner).is_none()
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
    fn a_name_may_have_brackets_of_its_own() {
        for path in ["/app/[[...slug]]/page.tsx", "/app/[id]", "/[[a]]", "/a[b", "/a]b"] {
            let (text, files) = stripped(&format!("a [[telegram:send:{path}]] b [[telegram:send:/x]] [c]]"));
            assert_eq!((text.as_str(), &files[..]), ("a  b  [c]]", &[path.to_owned(), "/x".to_owned()][..]));
        }
    }

    #[test]
    fn the_markup_around_a_marker_goes_with_it_and_other_markup_stays() {
        let text = "The files:\n- [[telegram:send:/a]]\n2. **[[telegram:send:/b]]**\n> *[[telegram:send:/a]]*\n---\n- c";
        assert_eq!(
            stripped(text),
            ("The files:\n---\n- c".to_owned(), vec!["/a".to_owned(), "/b".to_owned()])
        );
        assert_eq!(stripped("- 5 [[telegram:send:/a]]").0, "- 5");
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
    fn a_million_characters_of_openings_are_looked_through() {
        for piece in ["[[telegram:send:/", "[[", "`[[telegram:send:/x]]` "] {
            let text = piece.repeat(1_000_000 / piece.len());
            assert_eq!(strip(&text), Stripped { text: text.clone(), files: Vec::new() });
        }
        let (text, files) = stripped(&"[[telegram:send:/x]]".repeat(50_000));
        assert_eq!((text.as_str(), files.len()), ("", 1));
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
