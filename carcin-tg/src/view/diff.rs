//! An edit of Claude's, as a small unified diff.

use serde_json::Value;

/// Unchanged lines shown around a change.
const CONTEXT: usize = 2;
/// The largest table of common lines: beyond it, all old lines are shown as gone and all new ones as added.
const MAX_TABLE: usize = 1_000_000;

/// The edit in the input of `Edit`, `MultiEdit`, `Write` or `NotebookEdit`; `None`: it is none of them.
pub(crate) fn of_input(input: &Value) -> Option<String> {
    if let Some(edits) = input["edits"].as_array() {
        let all = edits.len();
        let parts = edits.iter().enumerate().map(|(index, edit)| {
            let title = format!("edit {} of {all}", index + 1);
            replacement(edit, Some(&title))
        });
        return parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("\n"));
    }
    if let Some(content) = input["content"].as_str() {
        return Some(marked('+', content));
    }
    if let Some(source) = input["new_source"].as_str() {
        let cell = input["cell_id"].as_str().map(|cell| format!(" cell {cell}")).unwrap_or_default();
        let mode = input["edit_mode"].as_str().unwrap_or("replace");
        return Some(format!("@@ {mode}{cell} @@\n{}", marked('+', source)));
    }
    replacement(input, None)
}

fn replacement(edit: &Value, title: Option<&str>) -> Option<String> {
    let (old, new) = (edit["old_string"].as_str()?, edit["new_string"].as_str()?);
    let everywhere = edit["replace_all"].as_bool().unwrap_or(false).then_some("every occurrence");
    let titles: Vec<&str> = title.into_iter().chain(everywhere).collect();
    let head = if titles.is_empty() { String::new() } else { format!("@@ {} @@\n", titles.join(", ")) };
    Some(format!("{head}{}", unified(old, new)))
}

fn marked(sign: char, text: &str) -> String {
    lines(text).iter().map(|line| format!("{sign}{line}")).collect::<Vec<_>>().join("\n")
}

/// A text's lines. What ends with a line's end has no empty line behind it.
fn lines(text: &str) -> Vec<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    // A carriage return would not be seen on the phone, and may be all that changes.
    text.split('\n').map(|line| line.replace('\r', "␍")).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Same(usize),
    Gone(usize),
    New(usize),
}

/// The change from `old` to `new`, with a little of what is around it.
fn unified(old: &str, new: &str) -> String {
    let (before, after) = match (old, new) {
        ("", _) => return marked('+', new),
        (_, "") => return marked('-', old),
        (old, new) => (lines(old), lines(new)),
    };
    let script = script(&before, &after);
    if script.iter().all(|line| matches!(line, Line::Same(_))) {
        // Only the last line's end differs.
        return format!(
            "{}\n{}",
            marked('-', &old.replace('\n', "⏎\n")),
            marked('+', &new.replace('\n', "⏎\n"))
        );
    }
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        let to = (at + CONTEXT + 1).min(script.len());
        script[from..to].iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut shown: Vec<String> = Vec::new();
    let mut skipped = false;
    for (at, line) in script.iter().enumerate() {
        if !near(at) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            shown.push("@@".to_owned());
        }
        shown.push(match line {
            Line::Same(index) => format!(" {}", before[*index]),
            Line::Gone(index) => format!("-{}", before[*index]),
            Line::New(index) => format!("+{}", after[*index]),
        });
    }
    shown.join("\n")
}

/// The shortest way from one list of lines to the other: the longest common subsequence stays.
fn script(before: &[String], after: &[String]) -> Vec<Line> {
    let head = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut script: Vec<Line> = (0..head).map(Line::Same).collect();
    if old.len().saturating_mul(new.len()) > MAX_TABLE {
        script.extend((0..old.len()).map(|at| Line::Gone(head + at)));
        script.extend((0..new.len()).map(|at| Line::New(head + at)));
    } else {
        middle(old, new, head, &mut script);
    }
    script.extend((before.len() - tail..before.len()).map(Line::Same));
    script
}

fn middle(old: &[String], new: &[String], head: usize, script: &mut Vec<Line>) {
    let width = new.len() + 1;
    // How many lines are common to what begins at (row, column).
    let mut common = vec![0u32; (old.len() + 1) * width];
    for row in (0..old.len()).rev() {
        for column in (0..new.len()).rev() {
            common[row * width + column] = if old[row] == new[column] {
                common[(row + 1) * width + column + 1] + 1
            } else {
                common[(row + 1) * width + column].max(common[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    while row < old.len() || column < new.len() {
        if row < old.len() && column < new.len() && old[row] == new[column] {
            script.push(Line::Same(head + row));
            (row, column) = (row + 1, column + 1);
        } else if column == new.len()
            || (row < old.len() && common[(row + 1) * width + column] >= common[row * width + column + 1])
        {
            script.push(Line::Gone(head + row));
            row += 1;
        } else {
            script.push(Line::New(head + column));
            column += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_shows_what_changes_and_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
        let new = "a\nb\nc\nd\nE\nE2\nf\ng\nh\ni\nj\nk\nl\n";
        insta::assert_snapshot!(unified(old, new), @r"
        @@
         c
         d
        -e
        +E
        +E2
         f
         g
        @@
         j
         k
        +l
        ");
    }

    #[test]
    fn each_editing_tool_has_its_diff() {
        let shown = [
            json!({"file_path": "/a", "old_string": "x", "new_string": "y", "replace_all": true}),
            json!({"edits": [{"old_string": "x", "new_string": "y"}, {"old_string": "z", "new_string": ""}]}),
            json!({"file_path": "/a", "content": "one\ntwo\n"}),
            json!({"notebook_path": "/a", "cell_id": "c1", "new_source": "print(1)"}),
        ]
        .map(|input| of_input(&input).expect("an edit"));
        insta::assert_snapshot!(shown.join("\n---\n"), @r"
        @@ every occurrence @@
        -x
        +y
        ---
        @@ edit 1 of 2 @@
        -x
        +y
        @@ edit 2 of 2 @@
        -z
        ---
        +one
        +two
        ---
        @@ replace cell c1 @@
        +print(1)
        ");
        assert_eq!(of_input(&json!({"command": "ls"})), None);
    }

    #[test]
    fn a_change_that_is_only_in_a_lines_end_is_seen() {
        assert_eq!(unified("a\r\nb", "a\nb"), "-a␍\n+a\n b");
        assert_eq!(unified("a\n", "a"), "-a⏎\n+a");
    }

    proptest! {
        #[test]
        fn a_diff_has_all_that_goes_and_all_that_comes(old in "([ab]\n){0,12}", new in "([abc]\n){0,12}") {
            prop_assume!(!old.is_empty() && !new.is_empty());
            let (before, after) = (lines(&old), lines(&new));
            let script = script(&before, &after);
            let side = |keep: fn(&Line) -> Option<(bool, usize)>| -> Vec<&String> {
                let of = |(first, at): (bool, usize)| if first { &before[at] } else { &after[at] };
                script.iter().filter_map(keep).map(of).collect()
            };
            let had = side(|line| match line {
                Line::Same(at) | Line::Gone(at) => Some((true, *at)),
                Line::New(_) => None,
            });
            let has = side(|line| match line {
                Line::Same(at) => Some((true, *at)),
                Line::New(at) => Some((false, *at)),
                Line::Gone(_) => None,
            });
            prop_assert_eq!(had, before.iter().collect::<Vec<_>>());
            prop_assert_eq!(has, after.iter().collect::<Vec<_>>());
        }
    }
}
