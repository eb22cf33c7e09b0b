use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use protogen_sys::lock::{self, Lock, LockError, RUN_LOCK};
use protogen_sys::site::host_name;
use protogen_testkit::{Dir, TestCommand};

use super::served;

/// Another process that holds the run lock of `dir`.
fn holding(dir: &Dir) -> Child {
    let mut child = Command::new(served())
        .arg("lock")
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn who_holds_a_lock_is_readable() {
    let dir = Dir::new();
    let mut other = holding(&dir);
    let error = Lock::take_run_lock(dir.path()).unwrap_err();
    let LockError::Held { path, holder } = error else { panic!("{error}") };
    assert_eq!(path, dir.join(RUN_LOCK));
    assert_eq!((holder.pid, holder.host.as_str(), holder.alive), (other.id(), host_name().as_str(), true));
    assert!(holder.since.unwrap() <= SystemTime::now());
    assert!(holder.to_string().starts_with(&format!("process {} on {} since 20", other.id(), host_name())));
    assert_eq!(lock::holder(&dir.join(RUN_LOCK)).unwrap(), Some(holder));

    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert_eq!(lock::holder(&dir.join(RUN_LOCK)).unwrap(), None, "an owner that ends removes its file");
    drop(Lock::take_run_lock(dir.path()).unwrap());
}

#[test]
fn a_lock_whose_owner_was_killed_is_not_honoured() {
    let dir = Dir::new();
    let mut other = holding(&dir);
    other.kill().unwrap();
    other.wait().unwrap();
    let left = lock::holder(&dir.join(RUN_LOCK)).unwrap().unwrap();
    assert_eq!((left.pid, left.alive), (other.id(), false));
    let lock = Lock::take_run_lock(dir.path()).unwrap();
    assert_eq!(lock::holder(lock.path()).unwrap().unwrap().pid, std::process::id());
}

#[test]
fn an_operator_may_remove_a_live_lock_and_the_old_owner_leaves_the_new_one_alone() {
    let dir = Dir::new();
    let mut other = holding(&dir);
    lock::remove(&dir.join(RUN_LOCK)).unwrap();
    let ours = Lock::take_run_lock(dir.path()).unwrap();
    drop(other.stdin.take());
    other.wait().unwrap();
    assert!(ours.path().exists());
    lock::remove(ours.path()).unwrap();
    lock::remove(ours.path()).unwrap();
}

#[test]
fn of_twenty_at_once_one_gets_the_lock_also_while_somebody_looks() {
    let dir = Dir::new();
    let looking = dir.join(RUN_LOCK);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let looker = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            lock::holder(&looking).unwrap();
        }
    });
    let mut children: Vec<Child> = (0..20)
        .map(|_| {
            let mut command = Command::new(served());
            command.arg("lock").arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let said: Vec<String> = children
        .iter_mut()
        .map(|child| {
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            line
        })
        .collect();
    let owners: Vec<u32> = children
        .iter()
        .zip(&said)
        .filter(|(_, said)| *said == "held\n")
        .map(|(child, _)| child.id())
        .collect();
    assert_eq!(owners.len(), 1, "{said:?}");
    let owner = format!("process {} on ", owners[0]);
    assert!(said.iter().all(|said| said == "held\n" || said.starts_with(&owner)), "{said:?}");
    for child in &mut children {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    drop(stop);
    looker.join().unwrap();
}

#[test]
fn a_lock_file_of_rubbish_says_nothing_and_locks_nobody() {
    let dir = Dir::new();
    dir.write(RUN_LOCK, b"\xff\x1b[2J\nho\x07st\nyesterday\n");
    let holder = lock::holder(&dir.join(RUN_LOCK)).unwrap().unwrap();
    assert_eq!((holder.pid, holder.host.as_str(), holder.since), (0, "host", None));
    assert_eq!(holder.to_string(), "an unknown process on host");
    drop(Lock::take_run_lock(dir.path()).unwrap());
}

#[test]
fn a_lock_is_not_taken_through_a_symbolic_link_or_without_a_directory() {
    let dir = Dir::new();
    let target = dir.write("precious", "do not truncate");
    std::os::unix::fs::symlink(&target, dir.join(RUN_LOCK)).unwrap();
    assert!(matches!(Lock::take_run_lock(dir.path()), Err(LockError::File { .. })));
    assert_eq!(dir.text("precious"), "do not truncate");
    let missing = TestCommand::new(served()).args(["lock", "nowhere"]).in_dir(dir.path()).run();
    missing.code(2).stderr_contains("served: nowhere/.run.lock: cannot lock: No such file");
}
