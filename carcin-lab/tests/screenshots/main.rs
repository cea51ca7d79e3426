//! Takes pictures of the demo's page, scene by scene: `docs/screenshots/take`. A program and no test: what it makes is
//! for people to look at.
#![allow(dead_code, unreachable_pub)] // the browser test's own modules

#[path = "../browser/chromium.rs"]
mod chromium;
#[path = "../browser/sandbox.rs"]
mod sandbox;
mod scenes;
#[path = "../browser/visit.rs"]
mod visit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use scenes::{SCENES, Scene};
use visit::Visit;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("error: no picture of {}", failed.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the pictures; the names of the scenes that did not come about. One does not hold up the next.
async fn run() -> anyhow::Result<Vec<&'static str>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("which folder do the pictures go to?")?);
    let wanted: Vec<String> = arguments.filter_map(|name| name.into_string().ok()).collect();
    let known = |name: &String| SCENES.iter().any(|scene| scene.name == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let names: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
        anyhow::bail!("there is no scene {unknown:?}\nhint: {}", names.join(", "));
    }
    let mut failed = Vec::new();
    for scene in
        SCENES.iter().filter(|scene| wanted.is_empty() || wanted.iter().any(|name| name == scene.name))
    {
        match play(scene, &folder).await {
            Ok(()) => println!("{}.png", scene.name),
            Err(error) => {
                eprintln!("{}: {error:#}", scene.name);
                failed.push(scene.name);
            }
        }
    }
    Ok(failed)
}

async fn play(scene: &Scene, folder: &Path) -> anyhow::Result<()> {
    let visit = Visit::begin(&["--scripted"]).await?;
    for step in scene.steps {
        step.play(&visit).await?;
    }
    // The lab's own buttons are no part of a phone.
    visit.browser.ask("document.getElementById('side').hidden = true").await?;
    scenes::at_rest(&visit).await?;
    let path = folder.join(scene.name).with_extension("png");
    std::fs::write(&path, visit.browser.picture().await?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    visit.end().await
}
