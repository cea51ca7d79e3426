//! The end of everything, while others still want something.

use anyhow::ensure;
use carcin_lab::rig::{PATIENCE, Rig};
use carcin_proto::{ClientError, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::e2e_support::{lives, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_opened_while_it_ends_does_not_outlive_it() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        rig.talk("tg:0").say("!text Hello").await?;
        let submitting: Vec<_> = (0..6)
            .map(|who| {
                let talks: Vec<_> = (0..500).map(|at| rig.talk(&format!("tg:{who}:{at}"))).collect();
                tokio::spawn(async move {
                    for (at, talk) in talks.iter().enumerate() {
                        match talk.submit("key", "!gate never", carcin_proto::request::Placement::Steer).await
                        {
                            Ok(_) => {}
                            Err(error) => return Ok((at, error)),
                        }
                    }
                    anyhow::bail!("the daemon did not end")
                })
            })
            .collect();
        rig.talk("tg:1:0").pid().await?;
        assert!(matches!(rig.request(&Request::Shutdown).await?, Reply::Done));
        ensure!(rig.daemon.wait(PATIENCE).await?.success());
        for task in submitting {
            let (_, error) = task.await??;
            let refused = matches!(&error, ClientError::Refused(_)) && error.is_connection();
            ensure!(refused || error.is_connection(), "it was told {error:?}");
        }
        let left: Vec<_> = rig.living().into_iter().filter(|(pid, _)| lives(*pid)).collect();
        ensure!(left.is_empty(), "these live: {left:?}");
        rig.discard();
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_twice_both_are_answered_when_all_is_over() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        talk.send("!gate never").await?;
        let claude = talk.pid().await?;
        // It hears no polite signal, so its end takes a while.
        kill(Pid::from_raw(claude.cast_signed()), Signal::SIGSTOP)?;
        let shut_down = || {
            let socket = rig.places.socket();
            tokio::spawn(async move {
                let mut client = carcin_proto::Client::connect(&socket, "test", "0").await?;
                let reply = client.request(&Request::Shutdown).await?;
                Ok::<_, ClientError>((reply, lives(claude)))
            })
        };
        let (first, second) = (shut_down(), shut_down());
        for answer in [first.await?, second.await?] {
            let (reply, lives) = answer?;
            assert!(matches!(reply, Reply::Done));
            assert!(!lives, "it was answered while Claude still lives");
        }
        ensure!(rig.daemon.wait(PATIENCE).await?.success());
        ensure!(rig.living().is_empty(), "these live: {:?}", rig.living());
        rig.discard();
        Ok(())
    })
    .await;
}
