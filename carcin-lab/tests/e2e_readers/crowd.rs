//! Many at once, and such as only sit there.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use carcin_lab::rig::{PATIENCE, Rig};
use carcin_proto::request::{From, Status, Subscribe};
use carcin_proto::{Client, ClientError, RefusalCode, Reply, Request, Subscription, preamble};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Barrier;

use crate::e2e_support::proc::{descriptors, peak, resident, ticks};
use crate::e2e_support::{eventually, eventually_asking, run};
use crate::raw::{Raw, hello, request};

/// What `carcind` lets subscribe at once.
const SUBSCRIBERS: usize = 96;
/// Of the beginnings below the one after which a peer may take its time.
const WHOLE: usize = 4;
/// How much the daemon may grow by any of this, in KiB.
const GROWTH: u64 = 24 * 1024;

/// Asks as `carcin-ctl` would: once, on a connection of its own.
async fn status(socket: &Path) -> anyhow::Result<Status> {
    match Client::connect(socket, "carcin-ctl", "0").await?.request(&Request::Status).await? {
        Reply::Status(status) => Ok(*status),
        other => anyhow::bail!("answered {other:?}"),
    }
}

/// What is tried, if it is done before long: where there is no descriptor, nobody says no.
async fn in_time<T>(attempt: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(Duration::from_secs(3), attempt).await.context("nobody answered")?
}

/// Asks for the status as often as it takes until somebody gets in.
async fn gets_in(socket: &Path) -> anyhow::Result<()> {
    let mut last = None;
    let asking = eventually_asking("somebody to get in", async || match in_time(status(socket)).await {
        Ok(_) => Some(()),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    asking.await.with_context(|| format!("the last error is {last:?}"))
}

/// Waits until the daemon has so few descriptors open again.
async fn let_go(pid: u32, at_most: usize) -> anyhow::Result<()> {
    eventually("the descriptors to be closed", || (descriptors(pid) <= at_most).then_some(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_one_after_the_other_leave_nothing_behind() {
    run(async {
        let rig = Rig::builder().start().await?;
        let (socket, pid) = (rig.places.socket(), rig.daemon.pid());
        status(&socket).await?;
        let (open, before) = (descriptors(pid), resident(pid));
        for number in 0..1_000 {
            match number % 4 {
                0 => drop(Raw::connect(&socket).await?),
                1 => drop(Raw::greeted(&socket).await?),
                2 => drop(Raw::subscribed(&socket, From::Now).await?),
                _ => drop(status(&socket).await?),
            }
        }
        let_go(pid, open).await?;
        let most = peak(pid);
        assert!(most < before + GROWTH, "{before} KiB before, {most} KiB at most");
        rig.finish().await
    })
    .await;
}

/// Subscribes, and tries again for as long as there is no place to be had at all.
async fn subscribe(socket: &Path) -> Result<Subscription, ClientError> {
    loop {
        let subscribe = Subscribe { from: From::Now, transients: false };
        let attempt = async { Client::connect(socket, "crowd", "0").await?.subscribe(subscribe).await };
        match attempt.await {
            Err(error) if error.is_connection() => tokio::time::sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_at_once_as_many_are_served_as_there_is_room_for_and_the_rest_are_told() {
    run(async {
        let rig = Rig::builder().start().await?;
        // The rig's own subscriber is there before them.
        rig.talk("tg:1").say("!text Hello").await?;
        let (socket, pid) = (rig.places.socket(), rig.daemon.pid());
        let (open, before) = (descriptors(pid), resident(pid));
        let at_once = Arc::new(Barrier::new(1_000));
        let crowd: Vec<_> = (0..1_000)
            .map(|_| {
                let (socket, at_once) = (socket.clone(), Arc::clone(&at_once));
                tokio::spawn(async move {
                    at_once.wait().await;
                    subscribe(&socket).await
                })
            })
            .collect();
        let mut served = Vec::new();
        for member in crowd {
            match tokio::time::timeout(PATIENCE, member).await?? {
                Ok(subscription) => served.push(subscription),
                Err(ClientError::Refused(refusal)) => {
                    ensure!(refusal.code == RefusalCode::Full, "refused: {refusal:?}");
                    ensure!(refusal.message.contains("clients are subscribed already"), "{refusal:?}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        // One of the places is the rig's own.
        assert_eq!(served.len(), SUBSCRIBERS - 1);
        assert_eq!(status(&socket).await?.clients.len(), SUBSCRIBERS);
        // Those who got in are told what happens, and so is who asks.
        assert_eq!(rig.talk("tg:1").say("!text Undisturbed").await?, ["Undisturbed"]);
        for subscription in &mut served {
            for _ in 0..5 {
                tokio::time::timeout(PATIENCE, subscription.next()).await??;
            }
        }
        drop(served);
        let_go(pid, open).await?;
        let alone =
            async || status(&socket).await.is_ok_and(|status| status.clients.len() == 1).then_some(());
        eventually_asking("the rig to be alone again", alone).await?;
        subscribe(&socket).await?;
        let most = peak(pid);
        assert!(most < before + GROWTH, "{before} KiB before, {most} KiB at most");
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_only_sit_there_keep_nobody_out() {
    run(async {
        let rig = Rig::builder().start().await?;
        let (socket, pid) = (rig.places.socket(), rig.daemon.pid());
        let before = resident(pid);
        let whole = request(1, &Request::Status);
        // A large frame that is never ended costs more than a small one.
        let mut large = (1024 * 1024_u32).to_le_bytes().to_vec();
        large.extend(vec![3; 700_000]);
        let beginnings: [&[&[u8]]; 6] = [
            &[],
            &[&preamble::ours()[..5]],
            &[&preamble::ours()],
            &[&preamble::ours(), &hello()[..9]],
            &[&preamble::ours(), &hello()],
            &[&preamble::ours(), &hello(), &whole[..7]],
        ];
        let mut sitting = Vec::new();
        // These alone would take all places, for ever.
        for _ in 0..150 {
            sitting.push((WHOLE, Raw::greeted(&socket).await?));
        }
        status(&socket).await.context("after those who said who they are")?;
        for round in 0..50 {
            for (kind, beginning) in beginnings.into_iter().enumerate() {
                let mut raw = Raw::connect(&socket).await.context("the next of those who sit there")?;
                raw.send(&beginning.concat()).await?;
                sitting.push((kind, raw));
            }
            if round % 6 == 0 {
                let mut raw = Raw::greeted(&socket).await?;
                // As much as is taken at once.
                let _ = tokio::time::timeout(Duration::from_millis(1), raw.send(&large)).await;
                sitting.push((beginnings.len(), raw));
            }
            if round % 10 == 0 {
                status(&socket).await.with_context(|| format!("after {} of them", sitting.len()))?;
            }
        }
        assert_eq!(rig.talk("tg:1").say("!text Undisturbed").await?, ["Undisturbed"]);
        // Those that began something and did not end it are gone at last; who has sat through a handshake may stay.
        for (kind, raw) in sitting.iter_mut().filter(|(kind, _)| *kind != WHOLE) {
            raw.hung_up().await.with_context(|| format!("one of kind {kind}"))?;
        }
        let most = peak(pid);
        assert!(most < before + GROWTH, "{before} KiB before, {most} KiB at most");
        status(&socket).await?;
        rig.finish().await
    })
    .await;
}

/// Many who connect and say this, whether or not they are let in.
async fn knock(socket: &Path, beginning: &[u8]) -> anyhow::Result<Vec<UnixStream>> {
    let mut knocking = Vec::new();
    for _ in 0..40 {
        let mut stream = UnixStream::connect(socket).await?;
        // Whoever is sent away in the middle of it has knocked as well.
        let _ = stream.write_all(beginning).await;
        knocking.push(stream);
    }
    Ok(knocking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_it_does_not_spin_and_the_owner_gets_in() {
    run(async {
        let rig = Rig::builder().start().await?;
        let (socket, pid) = (rig.places.socket(), rig.daemon.pid());
        let limit = descriptors(pid) + 8;
        let limited = Command::new("prlimit")
            .args([format!("--pid={pid}"), format!("--nofile={limit}:{limit}")])
            .status()
            .await;
        match limited {
            Ok(status) => ensure!(status.success(), "prlimit ended with {status}"),
            Err(error) => return crate::peers::skip(&format!("there is no prlimit: {error}"), rig),
        }
        let began = Instant::now();
        let sitting = knock(&socket, &[&preamble::ours()[..], &hello()].concat()).await?;
        gets_in(&socket).await?;
        drop(sitting);
        // Subscribers stay: whoever of these gets in has a descriptor for good, and the others knock all the time.
        let subscribe = Request::Subscribe(Subscribe { from: From::Now, transients: false });
        let beginning = [&preamble::ours()[..], &hello(), &request(1, &subscribe)].concat();
        let subscribed = knock(&socket, &beginning).await?;
        let missed = || rig.daemon.log_text().contains("could not be accepted").then_some(());
        eventually("it to be said", missed).await?;
        let used = ticks(pid);
        let idle = Duration::from_secs(2);
        tokio::time::sleep(idle).await;
        let used = ticks(pid) - used;
        assert!(used < 50, "{used} ticks in {idle:?} without a descriptor to be had");
        let said = rig.daemon.log_text().matches("could not be accepted").count();
        let minutes = usize::try_from(began.elapsed().as_secs() / 60)?;
        assert!((1..=minutes + 1).contains(&said), "said {said} times in {minutes} minutes");
        drop(subscribed);
        gets_in(&socket).await?;
        rig.finish().await
    })
    .await;
}
