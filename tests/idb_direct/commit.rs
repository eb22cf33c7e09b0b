//! `-c`: waiting, writing, the waiting list.

use super::Site;
use crate::support::data;

#[test]
fn a_patient_who_is_there_gets_the_observations() {
    let site = Site::new();
    site.admit("12345", "601-1");
    site.admit("777", "601-2");
    site.ask("-e 1 -c -r 12345 -l 601-1 -H 182 -W 75").run().code(7).stderr_is("");
    assert_eq!(site.observations(), "12345\t182\t75\t\n");
    // What is not given stays; what is given again is replaced.
    site.ask("-e 8 -c -r 12345 -l 601-1 -W 75.5 -S 2.7").run().code(7).stderr_is("");
    assert_eq!(site.observations(), "12345\t182\t75.5\t2.7\n");
    assert_eq!(site.messages(), "");
    // In another bed than the message says: known is enough.
    site.ask("-e 8 -c -r 777 -l 601-1 -H 160").run().code(3);
    assert_eq!(site.observations(), "12345\t182\t75.5\t2.7\n777\t160\t\t\n");
    assert!(site.mail.try_mail().is_none());
}

#[test]
fn without_c_nothing_is_written() {
    let site = Site::new();
    site.admit("12345", "");
    site.admit("777", "601-1");
    let before = site.everything();
    site.ask("-e 1 -r 12345 -l 601-1 -H 182 -W 75 -S 2.7").run().code(3).stderr_is("");
    assert_eq!(site.everything(), before);
}

#[test]
fn a_late_patient_is_waited_for() {
    let site = Site::new();
    let _daemon = late(&site, 5);
    site.ask("-e 1 -r 12345 -l 601-1").run().code(0);
    site.ask("-e 1 -c -r 12345 -l 601-1 -H 182").run().code(7).stderr_is("");
    assert_eq!(site.observations(), "12345\t182\t\t\n");
}

/// A look at the census that fails is followed by another, as long as the wait lasts.
#[test]
fn a_look_that_fails_is_not_the_end() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let looks = site.dir.join("looks");
    let rsh = |most: usize| {
        let body = format!(
            "case $2 in ptMgrSup*) echo x >>'{0}'; if [ $(wc -l <'{0}') -le {most} ]; then exit 255; fi ;; esac\n\
             exec $sim \"$@\"",
            looks.display()
        );
        site.rsh("rsh", &body)
    };
    site.ask("-e 1 -c -r 12345 -l 601-1 -H 182").env("PG_RSH", rsh(3)).run().code(7).stderr_is("");
    assert_eq!(site.dir.text("looks").lines().count(), 4);
    assert_eq!(site.observations(), "12345\t182\t\t\n");
    let ask = site.ask("-e 1 -c -r 12345 -l 601-1").env("PG_RSH", rsh(1_000_000)).env("PG_IDB_WAIT", "0.2");
    ask.run().code(192).stderr_contains("ptMgrSup: exit status: 255");
}

/// The wait is not taken from the time that CareVue's answers have.
#[test]
fn a_patient_may_come_later_than_an_answer() {
    let site = Site::new();
    let _daemon = late(&site, 4);
    let ask = site.ask("-e 1 -c -r 12345 -l 601-1 -H 182").env("PG_IDB_POLL", "1.1");
    ask.env("PG_IDB_TIMEOUT", "2").run().code(7).stderr_is("");
    assert_eq!(site.observations(), "12345\t182\t\t\n");
}

/// Admits 12345 into 601-1 by a message, to appear at that look at the census.
fn late(site: &Site, looks: u32) -> protogen_testkit::Daemon {
    let serve = site.sim("serve --port 0 --host 127.0.0.1");
    let daemon = protogen_testkit::Daemon::start(&serve);
    let place = daemon.states().iter().find_map(|line| line.strip_prefix("STATUS=listening on ")).unwrap();
    let port = place.rsplit(':').next().unwrap().to_owned();
    site.sim(&format!("misbehave late {looks}")).run().success();
    let send =
        crate::support::hl7().args(["send", "--illp", "127.0.0.1", &port]).arg(data("idb_direct/a01.hl7"));
    send.run().success();
    daemon
}

#[test]
fn a_patient_who_does_not_come_is_the_plain_truth_in_bounded_time() {
    let site = Site::new();
    site.admit("777", "601-1");
    for (arguments, status) in [("-e 1 -c -r 12345 -l 601-2 -H 182", 0), ("-e 1 -c -r 12345 -l 601-1", 1)] {
        let output = site.ask(arguments).env("PG_IDB_WAIT", "0.3").run();
        output.code(status).stderr_contains("the patient is not in the census after 0.3 s");
    }
    // An update does not wait for somebody who is not known.
    let output = site.ask("-e 8 -c -r 12345 -l 601-1 -H 182").env("PG_IDB_WAIT", "3000").run();
    output.code(1).stderr_is("");
    assert_eq!((site.observations(), site.messages()), (String::new(), String::new()));
    let mail = site.mail.next_mail();
    assert!(mail.data.contains("not in the census") && mail.data.contains("A01, bed \"601-2\""), "{mail:?}");
    assert!(!mail.data.contains("12345"), "{mail:?}");
}

/// In the database and not in the census: nothing may be written yet.
#[test]
fn a_patient_whom_the_patient_manager_does_not_know_is_not_written_to() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let rsh = site.rsh(
        "rsh",
        "case $2 in 'ptMgrSup -c') printf '123\\t601-2\\n1234567\\t\\n' ;; *) exec $sim \"$@\" ;; esac",
    );
    for event in ["1", "8"] {
        let ask = site.ask(&format!("-e {event} -c -r 12345 -l 601-1 -H 182"));
        let output = ask.env("PG_RSH", &rsh).env("PG_IDB_WAIT", "0.2").run();
        output
            .code(192)
            .stderr_contains("ptMgrSup does not know the patient after 0.2 s; nothing was written");
    }
    assert_eq!(site.observations(), "");
    // With nothing to write there is nothing to wait for.
    site.ask("-e 8 -c -r 12345 -l 601-1").env("PG_RSH", &rsh).run().code(7);
}

#[test]
fn the_waiting_list_is_told_once() {
    let site = Site::new();
    site.admit("777", "601-1");
    site.admit("12345", "");
    site.ask("-e 1 -c -r 12345 -l 601-1 -H 182 -W 75 -S 2.7").run().code(3).stderr_is("");
    assert_eq!(site.messages(), "HL7: patient 12345 is on the waiting list: bed 601-1 is occupied\n");
    assert_eq!(site.observations(), "12345\t182\t75\t2.7\n");
    // An update, a question, one who has a bed, one who wants none: no message.
    site.admit("888", "601-2");
    for (arguments, status) in [
        ("-e 8 -c -r 12345 -l 601-1", 3),
        ("-e 1 -r 12345 -l 601-1", 3),
        ("-e 1 -c -r 888 -l 601-1", 3),
        ("-e 1 -c -r 888 -l 601-2", 7),
        ("-e 1 -c -r 12345 -l ''", 2),
        ("-e 1 -c -r 12345 -l 602-1", 2),
    ] {
        site.ask(arguments).run().code(status);
    }
    assert_eq!(site.messages().lines().count(), 1);
    // The sender repeats the admission, and once more at the same time: still once.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let ask = site.ask("-e 1 -c -r 12345 -l 601-1 -H 182");
            scope.spawn(move || {
                ask.run().code(3).stderr_is("");
            });
        }
    });
    assert_eq!(site.messages().lines().count(), 1);
    // For another bed it is another message.
    site.ask("-e 1 -c -r 12345 -l 601-2").run().code(3);
    assert_eq!(site.messages().lines().count(), 2);
    // It names patients.
    assert_eq!(site.dir.list("home/var/spool"), [".idb_direct.shown"]);
    let shown = site.dir.join("home/var/spool/.idb_direct.shown").metadata().unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&shown.permissions()) & 0o777, 0o600);
}

/// Three gateways' processes at once, the first to tell.
#[test]
fn the_waiting_list_is_told_once_though_three_ask_at_once() {
    for _ in 0..5 {
        let site = Site::new();
        site.admit("777", "601-1");
        site.admit("12345", "");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let ask = site.ask("-e 1 -c -r 12345 -l 601-1");
                scope.spawn(move || {
                    ask.run().code(3).stderr_is("");
                });
            }
        });
        assert_eq!(site.messages().lines().count(), 1);
    }
}

/// The database knows the patient before the patient manager does: told, for the next transaction may come too early.
#[test]
fn a_patient_whom_the_patient_manager_does_not_know_is_told() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let rsh = site.rsh("rsh", "case $2 in 'ptMgrSup -c') ;; *) exec $sim \"$@\" ;; esac");
    let ask = site.ask("-e 1 -c -r 12345 -l 601-1").env("PG_RSH", rsh).env("PG_IDB_WAIT", "0.2");
    ask.run().code(7).stderr_is("idb_direct: the patient is not in the census after 0.2 s\n");
    assert!(site.mail.next_mail().data.contains("not in the census after 0.2 s"));
}

#[test]
fn a_message_that_cannot_be_shown_is_mailed_and_changes_no_answer() {
    let site = Site::new();
    site.admit("777", "601-1");
    site.admit("12345", "");
    let rsh = site.rsh("rsh", "case $2 in sysMsg*) exit 1 ;; *) exec $sim \"$@\" ;; esac");
    let output = site.ask("-e 1 -c -r 12345 -l 601-1 -H 182").env("PG_RSH", rsh).run();
    output.code(3).stderr_contains("the system message was not shown");
    assert_eq!(site.observations(), "12345\t182\t\t\n");
    assert!(site.mail.next_mail().data.contains("waiting list for 601-1"));
}

#[test]
fn two_at_once_insert_once() {
    let site = Site::new();
    site.admit("12345", "601-1");
    let count = site.dir.join("inserts");
    let log = format!("case $2 in new_wt*) echo x >>'{}' ;; esac\nexec $sim \"$@\"", count.display());
    let rsh = site.rsh("rsh", &log);
    for round in 0..5 {
        let (recno, bed) = (format!("R{round}"), "''");
        site.admit(&recno, "");
        std::thread::scope(|scope| {
            for weight in [70, 71, 72] {
                let ask = site.ask(&format!("-e 8 -c -r {recno} -l {bed} -W {weight}")).env("PG_RSH", &rsh);
                scope.spawn(move || {
                    ask.run().code(2).stderr_is("");
                });
            }
        });
        assert_eq!(site.dir.text("inserts").lines().count(), round + 1);
        assert_eq!(site.observations().matches(&format!("{recno}\t")).count(), 1);
    }
}

/// Two hosts, which share no lock: CareVue takes one insertion, and both go on.
#[test]
fn two_hosts_at_once_insert_once() {
    let site = Site::new();
    let other = Site::new();
    for round in 0..5 {
        let recno = format!("R{round}");
        site.admit(&recno, "");
        let ask = format!("-e 8 -c -r {recno} -l '' -W 70");
        std::thread::scope(|scope| {
            for host in [&site, &other] {
                let ask = host.ask(&ask).env("CAREVUE_SIM_STATE", &site.state);
                scope.spawn(move || {
                    ask.run().code(2).stderr_is("");
                });
            }
        });
        assert_eq!(site.observations().matches(&format!("{recno}\t\t70")).count(), 1);
    }
}

#[test]
fn a_write_that_did_not_happen_is_told() {
    let site = Site::new();
    site.admit("12345", "601-1");
    for (case, told) in [
        ("new_wt*) exit 1", "new_wt_ht_bsa: exit status: 1"),
        // As rsh(1), which does not hand the status on.
        ("new_wt*) exit 0", "new_wt_ht_bsa inserted no entities"),
        ("idb) sed '/^UPDATE/d' | $sim \"$@\"", "idb: ht was not written"),
        ("idb) sed 's/^UPDATE/UPDTE/' | $sim \"$@\"", "idb: exit status: 1: carevue-sim: line 2"),
    ] {
        let rsh = site.rsh("rsh", &format!("case $2 in {case} ;; *) exec $sim \"$@\" ;; esac"));
        let output = site.ask("-e 8 -c -r 12345 -l 601-1 -H 182").env("PG_RSH", rsh).run();
        output.code(192).stderr_contains(told.trim_start_matches("idb: exit status: 1: carevue-sim: "));
        assert!(!site.observations().contains("182"));
    }
    // A number that comes back in another form is the same number.
    let rsh =
        site.rsh("rsh", "case $2 in idb) $sim \"$@\" | sed 's/182/182.00/' ;; *) exec $sim \"$@\" ;; esac");
    site.ask("-e 8 -c -r 12345 -l 601-1 -H 182").env("PG_RSH", rsh).run().code(7);
}
