//! Read, Write and Edit.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Outcome, ToolUse};

pub(super) fn read(tool_use: &ToolUse, cwd: &Path) -> Outcome {
    let path = tool_use.text("file_path");
    if let Some(picture) = fs::read(path).ok().filter(|bytes| bytes.starts_with(b"\x89PNG")) {
        return Outcome::picture("image/png", &picture);
    }
    let Ok(text) = fs::read_to_string(path) else {
        let here = cwd.display();
        return Outcome::failed(&format!(
            "File does not exist. Note: your current working directory is {here}."
        ));
    };
    let numbered: Vec<String> =
        text.split('\n').enumerate().map(|(at, line)| format!("{}\t{line}", at + 1)).collect();
    let lines = numbered.len();
    let file =
        json!({"filePath": path, "content": text, "numLines": lines, "startLine": 1, "totalLines": lines});
    Outcome::done(numbered.join("\n"), json!({"type": "text", "file": file}))
}

pub(super) fn write(tool_use: &ToolUse) -> Outcome {
    let (path, content) = (tool_use.text("file_path"), tool_use.text("content"));
    let before = fs::read_to_string(path).ok();
    if let Err(error) = write_with_folders(path, content) {
        return Outcome::failed(&error.to_string());
    }
    let detail = |kind: &str| {
        let patch = before.as_deref().map(|before| patch(before, content)).unwrap_or_default();
        json!({"type": kind, "filePath": path, "content": content, "structuredPatch": patch,
            "originalFile": before, "userModified": false})
    };
    if before.is_some() {
        return Outcome::done(updated(path), detail("update"));
    }
    let said = format!(
        "File created successfully at: {path} (file state is current in your context — no need to Read it back)"
    );
    Outcome::done(said, detail("create"))
}

pub(super) fn edit(tool_use: &ToolUse) -> Outcome {
    let (path, old, new) =
        (tool_use.text("file_path"), tool_use.text("old_string"), tool_use.text("new_string"));
    let Ok(before) = fs::read_to_string(path) else { return Outcome::failed("File does not exist.") };
    let replace_all = tool_use.input["replace_all"] == true;
    match before.matches(old).count() {
        0 => return Outcome::failed(&format!("String to replace not found in file.\nString: {old}")),
        1 => {}
        several if !replace_all => {
            return Outcome::failed(&format!(
                "Found {several} matches of the string to replace, but replace_all is false."
            ));
        }
        _ => {}
    }
    let after = before.replace(old, new);
    if let Err(error) = fs::write(path, &after) {
        return Outcome::failed(&error.to_string());
    }
    let detail: Value = json!({"filePath": path, "oldString": old, "newString": new, "originalFile": before,
        "structuredPatch": patch(&before, &after), "userModified": false, "replaceAll": replace_all});
    Outcome::done(updated(path), detail)
}

/// What changed, as one hunk from the first line that differs to the last, with three lines around it.
fn patch(before: &str, after: &str) -> Vec<Value> {
    const AROUND: usize = 3;
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    if same == old_end && same == new_end {
        return Vec::new();
    }
    let start = same.saturating_sub(AROUND);
    let after_it = tail.min(AROUND);
    let mark =
        |mark: char, lines: &[&str]| lines.iter().map(|line| format!("{mark}{line}")).collect::<Vec<_>>();
    let lines = [
        mark(' ', &old[start..same]),
        mark('-', &old[same..old_end]),
        mark('+', &new[same..new_end]),
        mark(' ', &old[old_end..old_end + after_it]),
    ];
    vec![json!({"oldStart": start + 1, "oldLines": old_end + after_it - start, "newStart": start + 1,
        "newLines": new_end + after_it - start, "lines": lines.concat()})]
}

fn updated(path: &str) -> String {
    format!(
        "The file {path} has been updated successfully. (file state is current in your context — no need to Read it back)"
    )
}

fn write_with_folders(path: &str, content: &str) -> std::io::Result<()> {
    if let Some(folder) = Path::new(path).parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_what_changed_and_three_lines_around_it() {
        let hunk = &patch("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n5½\n6\n7\n8\n9\n")[0];
        assert_eq!(hunk["lines"], json!([" 2", " 3", " 4", "-5", "+five", "+5½", " 6", " 7", " 8"]));
        let numbers =
            ["oldStart", "oldLines", "newStart", "newLines"].map(|name| hunk[name].as_u64().unwrap());
        assert_eq!(numbers, [2, 7, 2, 8]);
        assert!(patch("same\n", "same\n").is_empty());
        assert_eq!(patch("a\na\n", "a\n")[0]["lines"], json!([" a", "-a"]));
    }
}
