//! Folders of skills that a person names: Claude Code loads plugins, and a plain folder with a `SKILL.md` in each of its
//! folders is none. So it is given a plugin that has the folder inside.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::assets::write;

/// The name of Carcin's own plugin.
const OWN: &str = "carcin";

/// What to load for the folders that were named: plugins as they are, and each folder of skills in a plugin of its own
/// in the state directory.
pub(super) fn as_plugins(state_dir: &Path, named: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut names = vec![OWN.to_owned()];
    let wrapped = named.into_iter().map(|dir| match wrap(state_dir, &dir, &mut names) {
        Ok(wrapped) => wrapped.unwrap_or(dir),
        Err(error) => {
            tracing::warn!(dir = %dir.display(), "{error:#}");
            dir
        }
    });
    wrapped.collect()
}

/// The plugin around a folder of skills, or around a single skill; `None`: it is neither.
fn wrap(state_dir: &Path, dir: &Path, names: &mut Vec<String>) -> anyhow::Result<Option<PathBuf>> {
    let dir = std::path::absolute(dir)?;
    if dir.join(".claude-plugin/plugin.json").exists() {
        return Ok(None);
    }
    let single = dir.join("SKILL.md").exists();
    if !single && !has_skills(&dir) {
        tracing::warn!(dir = %dir.display(), "this is no plugin, and there are no skills in it");
        return Ok(None);
    }
    let name = name_of(&dir, names);
    let plugin = state_dir.join("skills").join(&name);
    let description = format!("The skills in {}", dir.display());
    let manifest =
        serde_json::json!({ "name": name, "version": env!("CARGO_PKG_VERSION"), "description": description });
    write(&plugin.join(".claude-plugin/plugin.json"), &manifest.to_string(), 0o600)?;
    let skills = plugin.join("skills");
    if single {
        make_way(&skills, fs::FileType::is_dir)?;
        fs::create_dir_all(&skills)?;
        link(&dir, &skills.join(dir.file_name().unwrap_or_default()))?;
    } else {
        make_way(&skills, fs::FileType::is_symlink)?;
        link(&dir, &skills)?;
    }
    names.push(name);
    Ok(Some(plugin))
}

fn has_skills(dir: &Path) -> bool {
    fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| entry.path().join("SKILL.md").exists())
}

/// Removes what an earlier start has left there, unless it is `wanted`.
fn make_way(path: &Path, wanted: fn(&fs::FileType) -> bool) -> anyhow::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(there) if wanted(&there.file_type()) => Ok(()),
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.with_context(|| format!("cannot replace {}", path.display()))
}

/// A link that is never missing, once it was there: a Claude may be looking.
fn link(to: &Path, at: &Path) -> anyhow::Result<()> {
    if fs::read_link(at).is_ok_and(|known| known == to) {
        return Ok(());
    }
    let temporary = at.with_extension("new");
    let linked = fs::remove_file(&temporary)
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .and_then(|()| symlink(to, &temporary))
        .and_then(|()| fs::rename(&temporary, at));
    linked.with_context(|| format!("cannot make the link {}", at.display()))
}

/// The folder's name, as a plugin may have it, and no other one has: `/carcin:…` is how a person calls a skill.
fn name_of(dir: &Path, taken: &[String]) -> String {
    let folder = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain: String =
        folder.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let plain = if plain.is_empty() { "skills" } else { plain };
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let mut names = std::iter::once(plain.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).expect("there are more numbers than plugins")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(dir: &Path) {
        fs::create_dir_all(dir).expect("a folder");
        fs::write(dir.join("SKILL.md"), "---\nname: x\n---\n").expect("a skill");
    }

    #[test]
    fn a_folder_of_skills_becomes_a_plugin_and_a_plugin_stays_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let (state, mine, other) =
            (dir.path().join("state"), dir.path().join("My Skills"), dir.path().join("other/my-skills"));
        let (plugin, single, empty) =
            (dir.path().join("plugin"), dir.path().join("carcin"), dir.path().join("empty"));
        skill(&mine.join("one"));
        skill(&other.join("two"));
        skill(&plugin.join("skills/three"));
        fs::create_dir_all(plugin.join(".claude-plugin")).expect("a folder");
        fs::write(plugin.join(".claude-plugin/plugin.json"), "{}").expect("a manifest");
        skill(&single);
        fs::create_dir_all(&empty).expect("a folder");
        let missing = dir.path().join("missing");
        let named = vec![mine.clone(), other, plugin.clone(), single.clone(), empty.clone(), missing.clone()];
        for _ in 0..2 {
            let loaded = as_plugins(&state, named.clone());
            let ours = |name: &str| state.join("skills").join(name);
            let expected = [
                ours("my-skills"),
                ours("my-skills-2"),
                plugin.clone(),
                ours("carcin-2"),
                empty.clone(),
                missing.clone(),
            ];
            assert_eq!(loaded, expected);
            assert!(loaded[0].join("skills/one/SKILL.md").exists());
            assert!(loaded[1].join("skills/two/SKILL.md").exists());
            assert!(loaded[3].join("skills/carcin/SKILL.md").exists());
            let manifest = fs::read(loaded[1].join(".claude-plugin/plugin.json")).expect("a manifest");
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
            assert_eq!(manifest["name"], "my-skills-2");
        }
        // What comes later is there too, and what was a folder of skills may become a single one.
        skill(&mine.join("later"));
        assert!(state.join("skills/my-skills/skills/later/SKILL.md").exists());
        skill(&mine);
        as_plugins(&state, vec![mine.clone()]);
        assert!(state.join("skills/my-skills/skills/My Skills/SKILL.md").exists());
        assert!(mine.join("one/SKILL.md").exists(), "what a person has is left alone");
    }
}
