//! CareVue cannot be asked: 192, with the reason, and a mail.

use super::Site;

const ASK: &str = "-e 1 -r 4711 -l 601-1";

#[test]
fn each_way_not_to_reach_carevue_is_192_with_its_reason() {
    let site = Site::new();
    site.admit("4711", "601-1");
    for (rsh, told) in [
        ("exit 255", "cv@carevue: idb: exit status: 255"),
        ("echo 'connect: Connection refused' >&2; exit 255", "exit status: 255: connect: Connection refused"),
        ("echo 'no such patient: 4711' >&2; exit 1", "exit status: 1: no such patient: ***"),
        ("exit 127", "exit status: 127"),
        ("kill -9 $$", "signal: 9"),
        ("exit 0", "its answer is empty or cut short"),
        ("echo Welcome", "its answer is cut short"),
        // As a remote shell that hands no status on.
        ("$sim \"$@\" | head -n 3", "its answer is cut short"),
        ("$sim \"$@\" | sed 's/4711/4712/'", "it answers what was not asked"),
        ("$sim \"$@\" | tr '\\t' ' '", "its answer is cut short"),
        ("yes 0123456789 | head -c 2000000", "more than 1048576 bytes"),
        ("exec 2>&1; $sim \"$@\"; exit 1", "exit status: 1"),
    ] {
        let output = site.ask(ASK).env("PG_RSH", site.rsh("rsh", rsh)).run();
        output.code(192).stdout_is("").stderr_contains(told);
        assert!(output.stderr().starts_with("idb_direct: ") && !output.stderr().contains("4711"), "{output}");
    }
    let output = site.ask(ASK).env("PG_RSH", "/no/such/program").run();
    output
        .code(192)
        .stderr_contains("cannot run \"/no/such/program\": No such file")
        .stderr_contains("set PG_RSH");
    site.sim("misbehave no-rsh").run().success();
    site.ask(ASK).run().code(192).stderr_contains("Connection refused");
}

#[test]
fn a_host_that_hangs_is_given_up() {
    let site = Site::new();
    let started = site.dir.join("pid");
    let rsh = site.rsh("rsh", &format!("echo $$ >'{}'\nexec sleep 1000", started.display()));
    let output = site.ask(ASK).env("PG_RSH", rsh).env("PG_IDB_TIMEOUT", "0.3").run();
    output.code(192).stderr_contains("idb: no end in time (PG_IDB_TIMEOUT is 0.3 s)");
    // Nothing is left behind.
    let pid = site.dir.text("pid");
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists());
    // One command of several: the census looks endless.
    let rsh = site.rsh("rsh", "case $2 in ptMgrSup*) exec sleep 1000 ;; *) exec $sim \"$@\" ;; esac");
    let ask = site.ask("-e 1 -c -r 1 -l 601-1").env("PG_RSH", rsh);
    ask.env("PG_IDB_TIMEOUT", "0.3")
        .env("PG_IDB_WAIT", "0.3")
        .run()
        .code(192)
        .stderr_contains("ptMgrSup: no end");
}

#[test]
fn a_login_that_talks_is_listened_past() {
    let site = Site::new();
    site.admit("4711", "601-1");
    let rsh = site.rsh("rsh", "echo 'Last login: today'; printf '\\n'; $sim \"$@\" | sed 's/$/\\r/'");
    site.ask(ASK).env("PG_RSH", rsh).run().code(7);
}

#[test]
fn a_site_that_is_not_set_up_is_192() {
    let site = Site::new();
    site.dir.write("home/etc/carevue", "\n");
    site.ask(ASK).run().code(192).stderr_contains("etc/carevue: must be one line LOGIN@HOST");
    std::fs::remove_file(site.dir.join("home/etc/carevue")).unwrap();
    site.ask(ASK).run().code(192).stderr_contains("etc/carevue: No such file");
    site.ask(ASK).env("CAREVUE", "-oProxyCommand=x@y").run().code(192).stderr_contains("CAREVUE: must be");
    site.ask(ASK)
        .env("CAREVUE", "a@b")
        .env("PG_IDB_WAIT", "x")
        .run()
        .code(192)
        .stderr_contains("PG_IDB_WAIT");
}

#[test]
fn a_failure_is_mailed_once_and_names_no_patient() {
    let site = Site::new();
    let rsh = site.rsh("rsh", "exit 255");
    for _ in 0..3 {
        site.ask(ASK).env("PG_RSH", &rsh).run().code(192);
    }
    let mail = site.mail.next_mail();
    assert_eq!(mail.to, ["admin@example.org"]);
    assert!(
        mail.data.contains("idb_direct (A01, bed \"601-1\"): cv@carevue: idb: exit status: 255"),
        "{mail:?}"
    );
    assert!(!mail.data.contains("4711"), "{mail:?}");
    assert!(site.mail.try_mail().is_none());
    // Another reason is another mail; a bed that is missing is one to be told of, a typing error is not.
    site.ask("-e 1 -r 4711 -l 999-9").run().code(128).stderr_is("idb_direct: CareVue has no bed \"999-9\"\n");
    assert!(site.mail.next_mail().data.contains("CareVue has no bed \"999-9\""));
    site.ask("-e 5 -r 4711 -l 601-1").run().code(128);
    assert!(site.mail.try_mail().is_none());
}

#[test]
fn a_mail_that_cannot_be_sent_is_a_warning() {
    let site = Site::new();
    let ask = || site.ask(ASK).env("PG_RSH", "/no/such/program");
    ask()
        .env("PG_SMTP", "127.0.0.1:1")
        .run()
        .code(192)
        .stderr_contains("warning: no mail to the administrator");
    std::fs::remove_file(site.dir.join("home/etc/admin")).unwrap();
    ask().run().code(192).stderr_contains("warning: no mail").stderr_contains("etc/admin");
    // No spool area: the second mail is not held back, and that is all.
    std::fs::remove_dir(site.dir.join("home/var/spool")).unwrap();
    ask().env("ADMIN", "a@example.org").run().code(192);
    ask().env("ADMIN", "a@example.org").run().code(192);
    assert!([(); 2].map(|()| site.mail.next_mail()).iter().all(|mail| mail.to == ["a@example.org"]));
}
