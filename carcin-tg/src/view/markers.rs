//! `[[telegram:send:/absolute/path]]` in what Claude writes: the marker vanishes, the file is sent.
//!
//! A marker in code is only shown: there it is talked about. What code is, is decided line by line and span by span,
//! as far as it can be while the text still streams.

use std::path::PathBuf;

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
    // The character of the open fence, and how many there are.
    let mut fence: Option<(u8, usize)> = None;
    let mut lines = text.split_inclusive('\n').peekable();
    // A span of code can go over lines, but not over a blank one.
    let mut paragraph = String::new();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        match (fence, fence_of(line)) {
            (Some((c, count)), Some((other, found, bare))) if c == other && found >= count && bare => {
                fence = None;
                out.text.push_str(line);
            }
            (Some(_), _) => out.text.push_str(line),
            (None, Some((c, count, _))) => {
                flush(&mut paragraph, false, &mut out);
                fence = Some((c, count));
                out.text.push_str(line);
            }
            (None, None) if is_indented_code(line) && paragraph.trim().is_empty() => {
                flush(&mut paragraph, false, &mut out);
                out.text.push_str(line);
            }
            (None, None) => {
                paragraph.push_str(line);
                if line.trim().is_empty() && !is_last {
                    flush(&mut paragraph, false, &mut out);
                }
            }
        }
    }
    flush(&mut paragraph, partial, &mut out);
    out
}

/// The fence that a line is: its character, how many, and whether nothing follows.
fn fence_of(line: &str) -> Option<(u8, usize, bool)> {
    // Lists and quotes may come before it.
    let body = line.trim_start_matches([' ', '\t', '>']);
    let body = body.strip_prefix("- ").or_else(|| body.strip_prefix("* ")).unwrap_or(body);
    let first = *body.as_bytes().first().filter(|first| matches!(first, b'`' | b'~'))?;
    let count = body.bytes().take_while(|byte| *byte == first).count();
    let rest = &body[count..];
    // Backticks after backticks: a span.
    (count >= 3 && !(first == b'`' && rest.contains('`'))).then(|| (first, count, rest.trim().is_empty()))
}

fn is_indented_code(line: &str) -> bool {
    (line.starts_with("    ") || line.starts_with('\t')) && !line.trim().is_empty()
}

/// Takes the markers out of a paragraph.
fn flush(paragraph: &mut String, partial: bool, out: &mut Stripped) {
    let text = std::mem::take(paragraph);
    let mut rest = text.as_str();
    let before = out.files.len();
    let mut kept = String::new();
    while !rest.is_empty() {
        let ticks = rest.bytes().take_while(|byte| *byte == b'`').count();
        if ticks > 0 {
            let end = span_end(rest, ticks).unwrap_or(ticks);
            kept.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some((path, length)) = marker(rest) {
            out.files.push(path);
            rest = &rest[length..];
        } else if partial && is_beginning(rest) {
            break;
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            kept.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    // Lines that held nothing but markers go with them.
    if out.files.len() > before {
        let had: Vec<&str> = text.lines().collect();
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

/// Where the span of code that `rest` begins with ends; `None`: it is none, the backticks are themselves.
fn span_end(rest: &str, ticks: usize) -> Option<usize> {
    let mut at = ticks;
    while let Some(found) = rest[at..].find('`') {
        let start = at + found;
        let count = rest[start..].bytes().take_while(|byte| *byte == b'`').count();
        if count == ticks {
            return Some(start + count);
        }
        at = start + count;
    }
    None
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
