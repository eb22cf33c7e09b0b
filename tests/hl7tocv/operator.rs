//! The operator's mode, at a pseudo terminal: every key, and ^C at every state.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use super::support::{Site, message};
use super::terminal::{CTRL_C, Terminal};
use crate::cvgateway::support::Manner;
use crate::support::wait_until;
use nix::sys::signal::Signal;
use protogen_sys::lock::Lock;

/// A site whose operator has all the time of the world, and one message that is refused.
fn site() -> Site {
    let site = Site::with("pause = 600");
    site.put("1");
    site.gateway.answers(Manner::Judge(|id| match id {
        "1" => Some(("AE", "unknown bed")),
        _ => Some(("AA", "")),
    }));
    site.dir.script("pager", "cat >>\"$PG_HOME/paged\"\n");
    site
}

fn operator(site: &Site) -> Terminal {
    let command =
        site.program().env("PAGER", site.dir.join("pager")).env("LOGNAME", "nurse").env("NO_COLOR", "1");
    Terminal::start(&command)
}

/// At the menu of the refused message.
fn at_the_menu(site: &Site) -> Terminal {
    let mut terminal = operator(site);
    terminal.expect("1: 1 ORU^R01 (").expect("sending").expect("refused: AE unknown bed");
    terminal.expect("Again in 600 s; ^C for the menu").press(CTRL_C);
    terminal.expect("v view").expect("x exit").expect("Key: ");
    terminal
}

#[test]
fn what_is_taken_goes_and_the_queue_is_shown_first() {
    let site = site();
    site.gateway.answers(Manner::Answer("AA", ""));
    site.put("2");
    let mut terminal = operator(&site);
    terminal.expect("ANAE_IOP: 2 waiting, 0 locked, 0 refused; to ").expect("\n  1\r\n  2\r\n");
    terminal
        .expect("1: 1 ORU^R01")
        .expect("taken; in the log as 1")
        .expect("2: 2 ORU^R01")
        .expect("in the log as 2");
    terminal.expect("ANAE_IOP: 2 delivered, 0 deleted, 0 skipped.");
    assert!(terminal.ended().success() && terminal.is_as_it_was());
    assert_eq!(site.state(), (vec![], ["1", "1.ack", "2", "2.ack"].map(str::to_owned).to_vec()));
    assert!(site.log().contains("an operator is at work"));
}

#[test]
fn v_shows_message_and_answer_in_the_pager() {
    let site = site();
    let mut terminal = at_the_menu(&site);
    terminal.press("v").expect("v view").expect("Key: ");
    let paged = site.dir.text("paged");
    assert!(paged.contains("\nPID|||4711||Mustermann^Max\n") && paged.contains("\nAnswer\n"), "{paged}");
    assert!(
        paged.contains("\nMSA|AE|1|unknown bed\n") && paged.contains("Last attempt: refused: AE unknown bed"),
        "{paged}"
    );
    terminal.press("x").expect("0 delivered, 0 deleted, 0 skipped.");
    assert!(terminal.ended().success() && terminal.is_as_it_was());
}

#[test]
fn without_a_pager_it_is_shown_at_once_and_harmless() {
    let site = site();
    site.dir.write(site.spooled("1"), "MSH|^~\\&|LAB||||||ORU^R01|1|P|2.3\rOBX|1|TX|||\x1b[2Jbad\r");
    let mut terminal = Terminal::start(&site.program().env("PAGER", "/nowhere/pager"));
    terminal.expect("Again in").press(CTRL_C).expect("Key: ").press("v");
    terminal.expect("OBX|1|TX|||\\u{1b}[2Jbad").expect("Key: ").press("x").ended();
}

#[test]
fn e_edits_a_copy_that_is_checked_and_keeps_the_original() {
    let site = site();
    let before = site.dir.read(site.spooled("1"));
    // The first time it spoils the message, the second time it mends it.
    site.dir.script(
        "editor",
        "cp \"$1\" \"$PG_HOME/edited\"; stat -c %a \"$1\" >\"$PG_HOME/mode\"\n\
         if test -e \"$PG_HOME/twice\"; then sed -i 's/^XX/MSH/; s/|1|P|/|2|P|/' \"$1\"; else sed -i s/^MSH/XX/ \"$1\"; fi\n\
         touch \"$PG_HOME/twice\"\n",
    );
    let command = site.program().env("EDITOR", site.dir.join("editor")).env("VISUAL", "");
    let mut terminal = Terminal::start(&command);
    terminal.expect("Again in").press(CTRL_C).expect("Key: ").press("e");
    terminal.expect("error MSH: ").expect("Edit it again? (n: the message is as it was) (y/n)");
    assert_eq!(site.dir.read(site.spooled("1")), before);
    terminal
        .press("y")
        .expect("changed; the original is ")
        .expect("1.orig")
        .expect("1 (2 ORU^R01")
        .expect("Key: ");
    let edited = String::from_utf8(before.clone()).unwrap().replace("|1|P|", "|2|P|");
    assert_eq!(site.dir.text(site.spooled("1")), edited);
    assert_eq!(site.dir.read(site.logged("1.orig")), before);
    assert!(site.dir.text("edited").contains("\nPID|||4711") && site.dir.text("mode") == "600\n");
    // The mark has gone with what was refused, and so has the copy.
    assert_eq!(site.state().0, [".run.lock", "1"]);
    terminal.press("c").expect("1: 2 ORU^R01").expect("taken; in the log as 1").ended();
    assert_eq!(site.state().1, ["1", "1.ack", "1.orig"]);
    assert!(site.log().contains("edited by the operator") && !site.log().contains("4711"));
}

#[test]
fn an_edit_that_is_given_up_changes_nothing() {
    let site = site();
    site.dir.script("editor", "sed -i s/^MSH/XX/ \"$1\"\n");
    let mut terminal = Terminal::start(&site.program().env("VISUAL", site.dir.join("editor")));
    terminal.expect("Again in").press(CTRL_C).expect("Key: ").press("e");
    terminal.expect("Edit it again?").press(CTRL_C).expect("Key: ");
    site.dir.script("editor", "exit 1\n");
    terminal.press("e").expect("the editor failed; the message is as it was").expect("Key: ");
    site.dir.script("editor", "true\n");
    terminal.press("e").expect("nothing was changed").expect("Key: ").press("x").ended();
    assert_eq!(site.dir.read(site.spooled("1")), message("1"));
    assert_eq!(site.state(), ([".1.neg", "1"].map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn l_fetches_carevues_log() {
    let site = site();
    site.dir.write("ml.cis", "12:00 \x1b[2J unknown bed 601-9\n");
    site.queues(&format!("pause = 600\ncarevue-log = \"{}\"", site.dir.join("ml.cis").display()));
    site.dir.script("rsh", "shift; exec sh -c \"$*\"\n");
    let mut terminal = at_the_menu(&site);
    terminal.press("l").expect("fetching /").expect("Key: ");
    assert_eq!(site.dir.text("paged"), "12:00 \\u{1b}[2J unknown bed 601-9\n");
    site.dir.script("rsh", "exit 255\n");
    terminal.press("l").expect("no log: exit status: 255").expect("Key: ");
    // One that hangs is not waited for after the second ^C.
    site.dir.script("rsh", "touch \"$PG_HOME/hangs\"; sleep 60\n");
    terminal.press("l").expect("fetching /");
    wait_until(|| site.dir.join("hangs").exists());
    terminal
        .press(CTRL_C)
        .expect("^C again does not wait for it")
        .press(CTRL_C)
        .expect("not waited for")
        .expect("Key: ");
    terminal.press("x").ended();
}

#[test]
fn r_appends_a_report() {
    let site = site();
    let mut terminal = at_the_menu(&site);
    terminal
        .press("r")
        .expect("What is the problem? ")
        .press("bed 601-9 is nex\x7fw\r")
        .expect("written to /")
        .expect("Key: ");
    terminal.press("r").expect("What is the problem? ").press("never mind").press(CTRL_C).expect("Key: ");
    terminal
        .press("r")
        .expect("What is the problem? ")
        .press("again\r")
        .expect("written to /")
        .expect("Key: ")
        .press("x")
        .ended();
    let report = site.dir.text(site.logged("REPORT"));
    assert!(
        report.contains(" nurse on ")
            && report.contains("\nbed 601-9 is new\n")
            && report.contains("\nagain\n"),
        "{report}"
    );
    assert!(
        report.contains("PID|||4711") && report.contains("MSA|AE|1|unknown bed") && !report.contains("never"),
        "{report}"
    );
    assert_eq!(site.dir.join(site.logged("REPORT")).metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn d_deletes_as_if_it_had_been_taken() {
    let site = site();
    site.put("2");
    let mut terminal = at_the_menu(&site);
    for no in ["n", CTRL_C] {
        terminal.press("d").expect("as if it had been taken? (y/n)").press(no).expect("Key: ");
        assert!(site.state().0.contains(&"1".to_owned()));
    }
    terminal.press("d").expect("(y/n)").press("y").expect("deleted; in the log as 1");
    terminal.expect("2: 2 ORU^R01").expect("taken").expect("1 delivered, 1 deleted, 0 skipped.").ended();
    assert_eq!(site.state(), (vec![], ["1", "1.ack", "2", "2.ack"].map(str::to_owned).to_vec()));
    let answer = site.dir.text(site.logged("1.ack"));
    assert!(
        answer.starts_with("deleted at 20")
            && answer.contains(" by nurse on ")
            && answer.contains("MSA|AE|1|"),
        "{answer}"
    );
    assert!(site.log().contains("1 ORU^R01 (126 bytes) deleted by the operator"), "{}", site.log());
}

#[test]
fn s_leaves_it_and_c_tries_again() {
    let site = site();
    site.put("2");
    let mut terminal = at_the_menu(&site);
    assert_eq!(site.sent(), ["1"]);
    terminal.press("c").expect("1: 1 ORU^R01").expect("refused: AE").expect("Again in");
    assert_eq!(site.sent(), ["1"]);
    terminal.press(CTRL_C).expect("Key: ").press("q").expect("q is none of these").expect("Key: ");
    terminal.press("S").expect("skipped; it stays in the queue").expect("2: 2 ORU^R01").expect("taken");
    terminal.expect("1 delivered, 0 deleted, 1 skipped.").ended();
    assert_eq!(site.state().0, [".1.neg", "1"]);
    // A batch run passes it over, an operator is shown why.
    site.batch().success();
    let mut terminal = operator(&site);
    terminal
        .expect("1 refused")
        .expect("  1 (refused)")
        .expect("refused: AE")
        .expect("Again in")
        .press(CTRL_C);
    terminal.expect("Key: ").press(CTRL_C).expect("x exits").expect("Key: ").press("x");
    assert!(terminal.ended().success() && terminal.is_as_it_was());
}

#[test]
fn a_failure_is_tried_again_by_itself_and_nobody_is_told() {
    let site = Site::new();
    site.put("1");
    site.gateway.answers(Manner::Answer("AR", "try later"));
    let mut terminal = operator(&site);
    for _ in 0..4 {
        terminal.expect("sending").expect("AR try later").expect("Again in");
    }
    site.gateway.answers(Manner::Answer("AA", ""));
    terminal.expect("taken; in the log as 1").ended();
    assert!(site.mails.try_mail().is_none() && site.shown().is_empty());
    assert!(!site.dir.list(site.spooled("")).contains(&".error".to_owned()));
}

#[test]
fn the_error_mark_is_shown_and_goes() {
    let site = Site::with("retries = 0");
    site.put("1");
    site.gateway.answers(Manner::Answer("AR", "try later"));
    site.batch().code(75);
    let _ = site.mails.next_mail();
    site.gateway.answers(Manner::Answer("AA", ""));
    let mut terminal = operator(&site);
    terminal
        .expect("The queue was blocked since 20")
        .expect("AR try later")
        .expect("It is open again.")
        .expect("taken");
    assert!(terminal.ended().success());
    assert_eq!(site.state().0, Vec::<String>::new());
}

#[test]
fn an_answer_need_not_be_waited_for() {
    let site = Site::with("pause = 600");
    site.put("1");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("{}%127.0.0.1", silent.local_addr().unwrap().port());
    let mut terminal = Terminal::start(&site.program().args(["--gateway", &place]));
    let _connection = silent.accept().unwrap();
    terminal
        .expect("sending")
        .press(CTRL_C)
        .expect("the menu comes after the answer; ^C again does not wait for it");
    terminal.press(CTRL_C).expect("not waited for; the gateway may have it").expect("Key: ").press("x");
    assert!(terminal.ended().success() && terminal.is_as_it_was());
    assert_eq!(site.state().0, ["1"]);
}

#[test]
fn a_lock_is_waited_for_and_removed_only_by_order() {
    let site = Site::new();
    site.put("1");
    let spool = site.dir.join(site.spooled(""));
    let lock = Lock::take_run_lock(&spool).unwrap();
    let held = format!("ANAE_IOP is in work by process {} on ", std::process::id());
    let mut terminal = operator(&site);
    terminal.expect(&held).expect("^C for the menu.").press(CTRL_C);
    terminal
        .expect("r remove the lock, c continue to wait, x exit: ")
        .press("c")
        .expect(&held)
        .expect("menu.");
    // Not by mistake.
    for no in ["n", CTRL_C] {
        terminal.press(CTRL_C).expect("x exit: ").press("r").expect("Its owner is alive: process ");
        terminal.expect("Remove the lock all the same? (y/n)").press(no).expect(&held).expect("menu.");
    }
    terminal.press(CTRL_C).expect("x exit: ").press(CTRL_C).expect(&held).expect("menu.");
    assert_eq!(site.sent(), Vec::<String>::new());
    // It goes on by itself when the lock is free.
    drop(lock);
    terminal.expect("taken; in the log as 1");
    assert!(terminal.ended().success());

    site.put("2");
    let lock = Lock::take_run_lock(&spool).unwrap();
    let mut terminal = operator(&site);
    terminal.expect(&held).expect("menu.").press(CTRL_C).expect("x exit: ").press("x");
    assert!(terminal.ended().success() && terminal.is_as_it_was());
    let mut terminal = operator(&site);
    terminal
        .expect(&held)
        .expect("menu.")
        .press(CTRL_C)
        .expect("x exit: ")
        .press("r")
        .expect("(y/n)")
        .press("y");
    terminal.expect("taken; in the log as 2").ended();
    assert!(site.log().contains("was removed by an operator"));
    drop(lock);
}

#[test]
fn the_terminal_is_as_it_was_whatever_ends_the_program() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let site = site();
        let mut terminal = at_the_menu(&site);
        // A key is waited for.
        wait_until(|| !terminal.is_as_it_was());
        terminal.signal(signal);
        assert_eq!(terminal.ended().signal(), Some(signal as i32));
        assert!(terminal.is_as_it_was(), "{signal}");
        // The queue is free for the next.
        site.batch().success();
    }
    // kill -9 while nothing is asked: there is nothing to put back.
    let site = site();
    let mut terminal = operator(&site);
    terminal.expect("Again in");
    terminal.signal(Signal::SIGKILL);
    terminal.ended();
    assert!(terminal.is_as_it_was());
}

#[test]
fn all_queues_one_after_the_other() {
    let site = Site::with("pause = 600");
    site.put("1");
    site.dir.write("var/spool/ABL/060_IOP/2", message("2"));
    let mut terminal = Terminal::start(&site.program().arg("--all"));
    terminal
        .expect("ANAE_IOP: 1 delivered")
        .expect("ABL/060_IOP: 1 waiting")
        .expect("ABL/060_IOP: 1 delivered");
    assert!(terminal.ended().success());
    assert_eq!(site.sent(), ["1", "2"]);
}
