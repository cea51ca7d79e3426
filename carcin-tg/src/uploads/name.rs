//! Names for files that people send: theirs, less all that could mean something to a file system or a shell.

use crate::update::Attachment;

/// The longest name, in bytes; file systems take 255.
const MAX_NAME: usize = 100;
/// The longest extension that is kept when a name is cut, in bytes.
const MAX_EXTENSION: usize = 16;

/// The name under which a file of message `message` is kept: unique within its chat, also among the edits of the message,
/// of which each has a number of its own.
pub(super) fn safe(message: i64, edit: Option<i64>, file: &Attachment) -> String {
    let given = file.name.as_deref().unwrap_or_default();
    let cleaned: String = given
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .collect();
    let cleaned = cleaned.trim_matches(['.', '_', '-']);
    let name = match cleaned {
        "" => format!("{}.{}", file.kind.name().replace(' ', "-"), file.kind.extension()),
        name => shortened(name),
    };
    let edit = edit.map(|edit| format!("-{edit}")).unwrap_or_default();
    format!("{message}{edit}-{name}")
}

/// The name with its middle cut out, so that the extension stays.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= MAX_EXTENSION => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut end = (MAX_NAME - extension.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::FileKind;

    fn named(name: Option<&str>, kind: FileKind) -> String {
        let name = name.map(str::to_owned);
        safe(
            7,
            None,
            &Attachment {
                kind,
                id: String::new(),
                unique: String::new(),
                name,
                size: None,
                caption: String::new(),
            },
        )
    }

    #[test]
    fn a_name_means_nothing_to_a_file_system() {
        let names = [
            named(Some("report.pdf"), FileKind::Document),
            named(Some("../../.ssh/authorized_keys"), FileKind::Document),
            named(Some(".bashrc"), FileKind::Document),
            named(Some("a b\n`rm -rf`$HOME.txt"), FileKind::Document),
            named(Some("Größe 漢字.txt"), FileKind::Document),
            named(Some(".."), FileKind::Document),
            named(None, FileKind::Photo),
            named(None, FileKind::Voice),
        ];
        insta::assert_snapshot!(names.join("\n"));
        let long = named(Some(&format!("{}.tar.gz", "ä".repeat(300))), FileKind::Document);
        assert!(long.len() <= MAX_NAME + 2, "{long}");
        assert_eq!(long.rsplit_once('.').map(|(_, extension)| extension), Some("gz"));
    }

    proptest! {
        #[test]
        fn whatever_the_name_it_is_one_short_visible_component(name in ".*") {
            let safe = named(Some(&name), FileKind::Document);
            prop_assert!(safe.len() <= MAX_NAME + 2);
            prop_assert!(!safe.contains('/') && !safe.starts_with('.'));
            prop_assert!(safe.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)), "{safe}");
        }
    }
}
