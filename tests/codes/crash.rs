//! kill -9 at any moment, and readers beside a manager: whoever reads sees one whole table.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{LOINCMGR, dump, loincmgr, row};
use protogen_testkit::random::Random;
use protogen_testkit::{Dir, loinc};

fn soak() -> bool {
    std::env::var_os("PG_SOAK").is_some()
}

fn start(dir: &Dir, arguments: &[&str]) -> Child {
    let mut command = loincmgr(dir).args(arguments).command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs the command to its end and gives the time it took.
fn timed(dir: &Dir, arguments: &[&str]) -> Duration {
    let begin = Instant::now();
    assert!(start(dir, arguments).wait().unwrap().success());
    begin.elapsed()
}

/// Kills the command again and again, at moments spread over the time it takes, and holds the table against the old and
/// the new one. `reset` brings the old one back.
fn killed_at_any_moment(arguments: &[&str], new: &str) {
    let rows = if soak() { 5000 } else { 1000 };
    let kills = if soak() { 100 } else { 12 };
    let dir = Dir::new();
    let old = loinc::table(rows);
    dir.write("old.tab", &old);
    dir.write("new.tab", new);
    let reset = ["-c", "old.tab"];
    timed(&dir, &reset);
    let old = dump(LOINCMGR, &dir);
    let time = timed(&dir, arguments);
    let new = dump(LOINCMGR, &dir);
    let mut random = Random::seeded(arguments.len() as u64);
    let mut seen = [0, 0];
    for _ in 0..kills {
        if dump(LOINCMGR, &dir) != old {
            timed(&dir, &reset);
        }
        let mut child = start(&dir, arguments);
        // The moment is the subject here, not a wait for readiness.
        std::thread::sleep(time.mul_f64(random.below(1200) as f64 / 1000.0));
        let _ = child.kill();
        child.wait().unwrap();
        let found = dump(LOINCMGR, &dir);
        assert!(
            found == old || found == new,
            "neither the old nor the new table after a kill of {arguments:?}"
        );
        seen[usize::from(found == new && new != old)] += 1;
        let sample = loincmgr(&dir).args(["-q", "RELAT_NMS", "==", "ALIAS 7", "--field", "1"]).run();
        assert_eq!(
            sample.stdout(),
            if found.contains("\"7-") { "7-5\n" } else { "" },
            "the index fits the rows"
        );
    }
    println!("{arguments:?}: {} kills left the old table, {} the new one", seen[0], seen[1]);
    assert!(seen[0] > 0);
    // The next manager finds nothing in its way.
    timed(&dir, &reset);
    timed(&dir, arguments);
    assert_eq!(dump(LOINCMGR, &dir), new);
    assert_eq!(dir.list("codes/LOINC.db").len(), 2, "what the killed ones left is cleared away");
}

#[test]
fn create() {
    let new: String = loinc::table(900).replace("GUSW", "NEW");
    killed_at_any_moment(&["-c", "new.tab"], &new);
}

#[test]
fn update() {
    killed_at_any_moment(&["-u", "new.tab"], &row(&["9999999-2", "NEW"]));
}

#[test]
fn delete() {
    killed_at_any_moment(&["-d", "RELAT_NMS", "==", "ALIAS 7"], "");
}

#[test]
fn reorganize() {
    killed_at_any_moment(&["-R"], "");
}

#[test]
fn ten_readers_see_one_whole_table_while_a_manager_runs() {
    let dir = Dir::new();
    let (rows, rounds) = if soak() { (5000, 30) } else { (500, 6) };
    let first = loinc::table(rows);
    let second = first.replace("GUSW", "NEW");
    dir.write("first.tab", &first);
    dir.write("second.tab", &second);
    timed(&dir, &["-c", "first.tab"]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..10)
            .map(|number| {
                let (dir, done, first, second) = (&dir, &done, &first, &second);
                scope.spawn(move || {
                    let mut seen = [0, 0];
                    while !done.load(std::sync::atomic::Ordering::Relaxed) || seen == [0, 0] {
                        if number % 2 == 0 {
                            let found = dump(LOINCMGR, dir);
                            assert!(found == *first || found == *second, "a mixed table");
                            seen[usize::from(found == *second)] += 1;
                        } else {
                            let arguments = ["-q", "MEASURE", "==", "MEASURE 7", "--field", "SOURCE"];
                            let found = loincmgr(dir).args(arguments).run().success().stdout();
                            let new = found == "NEW\n".repeat(20);
                            assert!(new || found == "GUSW\n".repeat(20), "{found}");
                            seen[usize::from(new)] += 1;
                        }
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..rounds {
            timed(&dir, &["-c", "second.tab"]);
            timed(&dir, &["-c", "first.tab"]);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    println!("{counts:?}");
}

#[test]
fn two_managers_wait_for_each_other_or_refuse() {
    let dir = Dir::new();
    dir.write("first.tab", loinc::table(200));
    timed(&dir, &["-c", "first.tab"]);
    let added: Vec<String> = (0..4).map(|number| format!("add{number}.tab")).collect();
    for (number, name) in added.iter().enumerate() {
        dir.write(name, row(&[&format!("{}", 9000 + number), "ADDED"]));
    }
    let managers: Vec<Child> = added.iter().map(|name| start(&dir, &["-u", name])).collect();
    for mut manager in managers {
        assert!(manager.wait().unwrap().success(), "each waits for its turn");
    }
    assert_eq!(dump(LOINCMGR, &dir).matches("ADDED").count(), 4, "none undoes what another did");

    let store = protogen_codes::store::Store::new(dir.join("codes/LOINC.db"));
    let held = store.create(Duration::ZERO).unwrap();
    let refused = loincmgr(&dir).args(["-u", "add0.tab", "--wait", "0"]).run();
    refused.code(2).stderr_contains("another manager changes the table, process ");
    loincmgr(&dir).args(["-q", "1", "==", "9000"]).run().success();
    drop(held);
    loincmgr(&dir).args(["-u", "add0.tab", "--wait", "0"]).run().success().stderr_contains("1 skipped");
}

#[test]
fn a_full_disk_leaves_the_old_table_and_nothing_else() {
    let dir = Dir::new();
    let disk = match protogen_testkit::tmpfs::Tmpfs::mount(&dir.join("codes"), 6 << 10) {
        Ok(disk) => disk,
        Err(why) => return protogen_testkit::not_tested(why),
    };
    dir.write("old.tab", loinc::table(50));
    dir.write("new.tab", loinc::table(20_000));
    timed(&dir, &["-c", "old.tab"]);
    let old = dump(LOINCMGR, &dir);
    let output = loincmgr(&dir).args(["-c", "new.tab"]).run();
    output.code(2).stderr_contains("; make room and try again");
    let filled = disk.fill();
    for change in [&["-R"][..], &["-x", "old.tab"], &["-d", "LOINC_NUM", "==", "1-8"]] {
        loincmgr(&dir).args(change).run().code(2).stderr_contains("space");
        assert_eq!(dump(LOINCMGR, &dir), old);
        assert_eq!(dir.list("codes/LOINC.db"), ["1", "current"], "what takes room is cleared away");
    }
    std::fs::remove_file(filled).unwrap();
    timed(&dir, &["-R"]);
    assert_eq!(dump(LOINCMGR, &dir), old);
}
