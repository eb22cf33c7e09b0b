//! Many at once, and kill -9 at any moment: the state is whole.

use super::{adt, carevue_sim, census, linked, serve, transact, verdict};
use crate::support::carevue;
use protogen_testkit::Dir;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn several_at_once_lose_nothing() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let (_daemon, address) = serve(&state);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let state = &state;
            scope.spawn(move || {
                for number in 0..10 {
                    let recno = format!("{worker}{number}");
                    assert_eq!(verdict(address, &adt("A01", &recno, "")), format!("AA|{recno}"));
                    linked(state, "sysMsg").arg(&recno).run().success();
                    let file = state.join(format!("load-{recno}"));
                    std::fs::write(&file, format!("AdmitObservation\tmedRecNum={recno}\n")).unwrap();
                    linked(state, "dbload").arg(&file).run().success();
                }
            });
        }
    });
    assert_eq!(census(&state).lines().count(), 40);
    assert_eq!(carevue_sim(&state).arg("messages").run().success().stdout().lines().count(), 40);
    let all = linked(&state, "idb").stdin("SELECT medRecNum FROM AdmitObservation;").run();
    assert_eq!(all.success().stdout().lines().count(), 41);
}

/// Admissions run against the server while it is killed, over and over: every one that was acknowledged is there,
/// nothing is there that was not sent, and the state can be read.
#[test]
fn kill_9_leaves_the_state_whole() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let rounds = if std::env::var_os("PG_SOAK").is_some() { 500 } else { 15 };
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    for round in 0..rounds {
        let (mut daemon, address) = serve(&state);
        let stop = AtomicBool::new(false);
        let from = sent;
        let (done, last) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut done = Vec::new();
                let mut next = from;
                while !stop.load(Ordering::Relaxed) {
                    let recno = format!("R{next}");
                    next += 1;
                    match transact(address, &adt("A01", &recno, "")) {
                        Ok(reply) if !reply.is_empty() => done.push(recno),
                        _ => break,
                    }
                }
                (done, next)
            });
            // After a number of admissions that differs each time, in the midst of the next one.
            crate::support::wait_until(|| census(&state).lines().count() > acknowledged.len() + round % 3);
            daemon.kill_9();
            stop.store(true, Ordering::Relaxed);
            sender.join().unwrap()
        });
        acknowledged.extend(done);
        sent = last;
        let census = census(&state);
        let there: BTreeSet<&str> = census.lines().filter_map(|line| line.split('\t').next()).collect();
        let missing: Vec<&String> = acknowledged.iter().filter(|one| !there.contains(one.as_str())).collect();
        assert!(missing.is_empty(), "acknowledged and not there: {missing:?}");
        assert!(there.len() <= sent, "{there:?}");
        // One that was carried out and not acknowledged belongs to the next round's count.
        acknowledged.extend(there.into_iter().map(str::to_owned));
    }
    assert!(sent >= rounds);
}

/// A command that is killed while it changes the state, too.
#[test]
fn commands_that_are_killed_leave_the_state_whole() {
    let dir = Dir::new();
    let state = carevue(&dir);
    let mut before = 0;
    for round in 0..40_u64 {
        let mut child = linked(&state, "sysMsg").arg("text").command().spawn().unwrap();
        // From before its start to after its end.
        std::thread::sleep(std::time::Duration::from_micros(round * 200));
        let _ = child.kill();
        child.wait().unwrap();
        let shown = carevue_sim(&state).arg("messages").run().success().stdout().lines().count();
        assert!(shown == before || shown == before + 1, "{before}, then {shown}");
        before = shown;
    }
}
