//! Paths as people write them and read them: `~` is their home, and what is in the folder is told from there.

use std::path::{Component, Path, PathBuf};

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_default()
}

/// The folder that somebody means by what they typed.
pub fn meant(typed: &str) -> PathBuf {
    match typed.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(rest.trim_start_matches('/')),
        _ => PathBuf::from(typed),
    }
}

/// The path without `.` and `..`, as a shell's `cd` understands it.
pub fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean
}

/// From where paths are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Viewpoint {
    /// Where Claude works; empty: not known.
    pub folder: PathBuf,
    /// The person's home; empty: there is none.
    pub home: PathBuf,
}

impl Viewpoint {
    /// From this folder, and the home of whoever runs this program.
    pub fn of(folder: &str) -> Self {
        Self { folder: PathBuf::from(folder), home: home() }
    }

    /// Whether it is in the folder, and told from there.
    pub fn holds(&self, path: &str) -> bool {
        path.starts_with('/') && !self.path(path).starts_with(['/', '~'])
    }

    /// `path` as short as it may be: what is in the folder without it, what is elsewhere at home with `~`, all else in
    /// full. So what begins with neither `~` nor `/` is in the folder, and in no other place.
    pub fn path(&self, path: &str) -> String {
        let whole = Path::new(path);
        // What goes up leads out again, and a folder around the home is none that tells where something is.
        let plain =
            |path: &Path| path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
        if !plain(whole) || path.contains("/./") {
            return path.to_owned();
        }
        let around = self.home.starts_with(&self.folder) || self.folder.parent().is_none();
        let inside = |from: &Path| {
            let inner = plain(from).then(|| whole.strip_prefix(from).ok()).flatten()?;
            inner.to_str().filter(|inner| !inner.is_empty() && !inner.starts_with('~')).map(str::to_owned)
        };
        if let Some(inner) = inside(&self.folder).filter(|_| !around) {
            return inner;
        }
        let at_home = inside(&self.home).filter(|_| self.home.parent().is_some());
        at_home.map_or_else(|| path.to_owned(), |inner| format!("~/{inner}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &str, path: &str) -> String {
        Viewpoint { folder: folder.into(), home: "/home/ann".into() }.path(path)
    }

    #[test]
    fn what_is_in_the_folder_is_told_from_there_and_all_else_says_where_it_is() {
        for (folder, path, expected) in [
            ("/srv/app", "/srv/app/src/a.rs", "src/a.rs"),
            ("/srv/app/", "/srv/app/src/a.rs", "src/a.rs"),
            ("/srv/app", "/srv/app", "/srv/app"),
            ("/srv/app", "/srv/apple/a.rs", "/srv/apple/a.rs"),
            ("/srv/app", "/mnt/srv/app/a.rs", "/mnt/srv/app/a.rs"),
            ("/srv/app", "/srv/app/../b.rs", "/srv/app/../b.rs"),
            ("/srv/app", "/srv/app/~/a.rs", "/srv/app/~/a.rs"),
            ("/srv/app", "a.rs", "a.rs"),
            ("/home/ann/app", "/home/ann/app/a.rs", "a.rs"),
            ("/home/ann/app", "/home/ann/.bashrc", "~/.bashrc"),
            ("/home/ann", "/home/ann/a.rs", "~/a.rs"),
            ("/home", "/home/bob/a.rs", "/home/bob/a.rs"),
            ("/", "/etc/passwd", "/etc/passwd"),
            ("", "/etc/passwd", "/etc/passwd"),
        ] {
            assert_eq!(told(folder, path), expected, "{path} from {folder}");
        }
        let here = Viewpoint { folder: "/srv/app".into(), home: PathBuf::new() };
        assert_eq!(["/srv/app/a", "/srv/b", "a"].map(|path| here.holds(path)), [true, false, false]);
        let nobody = Viewpoint { folder: "/srv".into(), home: PathBuf::new() };
        assert_eq!([nobody.path("/srv/a"), nobody.path("/etc/a")], ["a", "/etc/a"]);
    }

    #[test]
    fn a_path_is_told_without_detours() {
        for (typed, clean) in [
            ("/srv/app/..", "/srv"),
            ("/srv/./app/../../etc/", "/etc"),
            ("/..", "/"),
            ("/a/..b/...", "/a/..b/..."),
        ] {
            assert_eq!(cleaned(Path::new(typed)), Path::new(clean), "{typed}");
        }
    }

    #[test]
    fn a_home_is_meant_by_its_sign() {
        assert_eq!(meant("~"), home());
        assert_eq!(meant("~/a"), home().join("a"));
        assert_eq!(meant("~ish"), Path::new("~ish"));
    }
}
