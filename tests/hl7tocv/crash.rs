//! kill -9, runs at the same time, locks of the dead and the living, full disks.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::support::{QUEUE, Site, message};
use crate::cvgateway::support::{Manner, Site as Gateway};
use crate::support::wait_until;
use protogen_sys::lock::Lock;
use protogen_testkit::random::Random;
use protogen_testkit::tmpfs::Tmpfs;

fn launch(site: &Site) -> Child {
    let mut command = site.program().arg("batch").command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// None lost, none out of order, none sent twice but the one in flight.
#[test]
fn a_run_that_is_killed_loses_and_swaps_nothing() {
    const MESSAGES: usize = 200;
    let kills = if std::env::var_os("PG_SOAK").is_some() { 100 } else { 10 };
    let seed = std::env::var("PG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    println!("seed {seed}");
    let mut random = Random::seeded(seed);
    let site = Site::new();
    let names: Vec<String> = (0..MESSAGES).map(|n| format!("{n:03}")).collect();
    names.iter().for_each(|name| site.put(name));

    let mut sent: Vec<String> = Vec::new();
    let mut repeats = 0;
    for _ in 0..kills {
        let mut run = launch(&site);
        // At any moment between the start and a few messages later: in the middle of whatever it does then.
        let begun = sent.len();
        let least = random.below(1 + (MESSAGES / kills) as u64) as usize;
        wait_until(|| {
            sent.extend(site.sent());
            sent.len() - begun >= least || run.try_wait().unwrap().is_some()
        });
        std::thread::sleep(Duration::from_micros(random.below(4000)));
        let _ = run.kill();
        run.wait().unwrap();
    }
    let mut last = launch(&site);
    assert!(last.wait().unwrap().success(), "{}", site.log());
    sent.extend(site.sent());

    let mut distinct = sent.clone();
    distinct.dedup();
    repeats += sent.len() - distinct.len();
    assert_eq!(distinct, names, "in order, and a repeat directly behind its first");
    assert!(repeats <= kills, "{repeats} repeats of {kills} kills");
    println!("{repeats} repeats of {kills} kills");
    let (spool, log) = site.state();
    assert_eq!(spool, Vec::<String>::new());
    assert_eq!(log.len(), 2 * MESSAGES, "{log:?}");
    for name in &names {
        assert_eq!(site.dir.read(site.logged(name)), message(name));
        assert!(site.dir.text(site.logged(&format!("{name}.ack"))).contains(&format!("MSA|AA|{name}|")));
    }
}

/// What a kill between the answer and the move leaves is sent again, and the gateway knows it.
#[test]
fn the_gateway_knows_the_one_that_was_in_flight() {
    let site = Site::new();
    let gateway = Gateway::new().start();
    let note = "MSH|^~\\&|LAB|A|CLI|060_IOP|20261123184000||NMD|7|P|2.3\rNCK|20261123184000\r";
    site.dir.write(site.spooled("7"), note);
    let place = gateway.place();
    let run = || site.program().args(["--gateway", &place, "batch"]).run();
    run().success();
    assert_eq!(gateway.fsi.take().len(), 1);
    std::fs::rename(site.dir.join(site.logged("7")), site.dir.join(site.spooled("7"))).unwrap();
    run().success();
    assert_eq!(gateway.fsi.take().len(), 0);
    assert_eq!(site.state(), (vec![], vec!["7".to_owned(), "7.ack".to_owned()]));
}

/// Answers AA, the first time when it is told to.
fn slow_gateway() -> (u16, std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (go_on, wait) = channel();
    let (taken, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut message = String::new();
            stream.read_to_string(&mut message).unwrap();
            let id = message.split('|').nth(9).unwrap().to_owned();
            taken.send(id.clone()).unwrap();
            let _ = wait.recv();
            let _ = stream.write_all(format!("MSH|^~\\&|||||||ACK|1|P|2.1\rMSA|AA|{id}|\r").as_bytes());
        }
    });
    (port, go_on, got)
}

#[test]
fn of_twenty_runs_at_once_one_works() {
    let site = Site::new();
    (0..20).for_each(|n| site.put(&format!("{n:02}")));
    let (port, go_on, got) = slow_gateway();
    let text = site.dir.text("etc/queues");
    site.dir
        .write("etc/queues", text.replacen(&site.gateway.address.port().to_string(), &port.to_string(), 1));
    let mut runs: Vec<Child> = (0..20).map(|_| launch(&site)).collect();
    // The first message is in work until the others have gone.
    assert_eq!(got.recv_timeout(Duration::from_secs(60)).unwrap(), "00");
    wait_until(|| runs.iter_mut().filter_map(|run| run.try_wait().unwrap()).count() == 19);
    let left: Vec<_> = runs.iter_mut().filter_map(|run| run.try_wait().unwrap()).collect();
    assert!(left.iter().all(std::process::ExitStatus::success), "{left:?}\n{}", site.log());
    assert!(got.try_recv().is_err());
    drop(go_on);
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()), "{}", site.log());
    let rest: Vec<String> = got.try_iter().collect();
    assert_eq!(rest, (1..20).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    assert_eq!(site.state().1.len(), 40);
}

#[test]
fn a_lock_that_is_held_too_long_is_reported_once_and_never_broken() {
    let site = Site::with("lock-limit = 0.01");
    site.put("1");
    let spool = site.dir.join(site.spooled(""));
    let lock = Lock::take_run_lock(&spool).unwrap();
    // The lock's file has its time by the second.
    wait_until(|| {
        site.batch().success();
        site.dir.list(site.spooled("")).contains(&".held".to_owned())
    });
    let text = site.mails.next_mail().data;
    let holder = format!("the run lock is held by process {} on ", std::process::id());
    assert!(text.contains("HL7 queue ANAE_IOP: 1 report\r\n") && text.contains(&holder), "{text}");
    site.batch().success();
    assert!(site.mails.try_mail().is_none());
    assert_eq!(site.sent(), Vec::<String>::new());
    drop(lock);
    site.batch().success();
    assert_eq!((site.sent(), site.state().0), (vec!["1".to_owned()], vec![]));
}

#[test]
fn a_lock_whose_owner_died_is_taken_over() {
    let site = Site::new();
    site.put("1");
    site.dir.write(site.spooled(".run.lock"), "1\nelsewhere\n2026-11-23T18:40:00Z\n");
    site.batch().success();
    assert_eq!((site.sent(), site.state().0), (vec!["1".to_owned()], vec![]));
}

#[test]
fn a_run_ends_in_time_and_the_next_one_goes_on() {
    let site = Site::with("run-limit = 0.05");
    (0..20).for_each(|n| site.put(&format!("{n:02}")));
    site.gateway.answers(Manner::Judge(|_| {
        std::thread::sleep(Duration::from_millis(10));
        Some(("AA", ""))
    }));
    let mut runs = 0;
    wait_until(|| {
        site.batch().success();
        runs += 1;
        site.state().0.is_empty()
    });
    assert!(runs > 1);
    assert_eq!(site.sent(), (0..20).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    assert!(site.log().contains("the run's time is up (run-limit); the next one goes on"));
}

#[test]
fn a_full_disk_blocks_the_queue_and_loses_nothing() {
    let site = Site::new();
    let queue = |area: &str| site.dir.join(format!("var/{area}/{QUEUE}"));
    // With a full spool the lock cannot be written, and nothing is sent; its mark is an empty file.
    for (area, reason, sent) in
        [("log", "1.ack: cannot write: No space left", &["1"][..]), ("spool", "", &[])]
    {
        let disk = match Tmpfs::mount(&queue(area), 128) {
            Ok(disk) => disk,
            Err(why) => return protogen_testkit::not_tested(why),
        };
        site.put("1");
        let filler = disk.fill();

        site.batch().code(75);
        assert_eq!(site.sent(), sent);
        assert!(site.dir.text(site.spooled(".error")).contains(reason));
        assert!(site.dir.list(site.spooled("")).contains(&"1".to_owned()));
        // Blocked: it is not sent every minute.
        site.batch().success();
        assert_eq!(site.sent(), Vec::<String>::new());
        std::fs::remove_file(filler).unwrap();
        std::fs::remove_file(site.dir.join(site.spooled(".error"))).unwrap();
        site.batch().success();
        assert_eq!(site.sent(), ["1"]);
        assert!(site.dir.list(site.logged("")).contains(&"1.ack".to_owned()));
    }
}
