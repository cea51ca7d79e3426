//! Read, Write and Edit.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Outcome, ToolUse};

pub(super) fn read(tool_use: &ToolUse, cwd: &Path) -> Outcome {
    let path = tool_use.text("file_path");
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
        json!({"type": kind, "filePath": path, "content": content, "structuredPatch": [], "originalFile": before,
            "userModified": false})
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
    if let Err(error) = fs::write(path, before.replace(old, new)) {
        return Outcome::failed(&error.to_string());
    }
    let detail: Value = json!({"filePath": path, "oldString": old, "newString": new, "originalFile": before,
        "structuredPatch": [], "userModified": false, "replaceAll": replace_all});
    Outcome::done(updated(path), detail)
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
